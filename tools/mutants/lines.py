"""``python -m tools.mutants.lines acks withheld``: change each line of a machine; a test must fail.

Names are those of `faust/_machines`.  The changes are mutmut's (operators, constants, arguments,
one at a time, in a copy of the tree); the tests are those of `TESTS`, in `tests/machines`.  What
differs in the text of a message only is left out, and so is what `EQUIVALENT` lists, with reasons.
The exit code is 1 if anything else survives.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.mutants.__main__ import copy_tree

#: Machine -> the files of `tests/machines` that must notice.
TESTS: dict[str, tuple[str, ...]] = {
    "acks": ("test_acks.py",),
    "alarms": ("test_alarms.py",),
    "buffering": ("test_buffering.py",),
    "failures": ("test_failures.py",),
    "flow": ("test_flow.py",),
    "outputs": ("test_outputs.py",),
    "progress": ("test_progress.py",),
    "retry": ("test_retry.py",),
    "withheld": ("test_withheld.py",),
}

_SAME = "setting a number to itself"
_EQUAL = "what is returned is equal to it"
_FIRST = "the first restore sets it before anybody looks at it"
_UNUSED = "only the position is looked at here, and what is left up to the end"
_BYTES = "bytes are whole numbers, which are compared to it"

#: (machine, changed line) -> why it changes nothing that anybody could see.
EQUIVALENT: dict[tuple[str, str], str] = {
    ("acks", 'self._outstanding[offset] = ""'): "only the keys of this dictionary are looked at",
    ("acks", "if next_offset >= self._next:"): _SAME,
    ("flow", "return Changes(pause) if (pause) or True else NOTHING"): _EQUAL,
    ("flow", "return Changes(resume=resume) if (resume) or True else NOTHING"): _EQUAL,
    ("flow", "return high * self.policy.low_bytes / self.policy.high_bytes"): _BYTES,
    ("progress", "self._read = None"): _FIRST,
    ("progress", "self._read = 1"): _FIRST,
    ("progress", "self._began = 1.0"): _FIRST,
    ("progress", "self._reported = None"): _FIRST,
    ("progress", "self._reported = 1.0"): _FIRST,
    ("progress", "self._under_way[key] = Progress(start, None, end, now)"): _UNUSED,
    ("progress", "self._under_way[key] = Progress(start, end, end, None)"): _UNUSED,
    ("progress", "self._under_way[key] = Progress(start, end, end, )"): _UNUSED,
    ("retry", "doublings = min(max(attempt - 1, 0), 65)"): "64 are beyond any cap as well",
    ("withheld", "if cursor.floor is None or offset <= cursor.floor:"): _SAME,
}

_CONFIGURATION = """\
[mutmut]
source_paths=faust/_machines/{machine}.py
pytest_add_cli_args_test_selection={tests}
also_copy=
    faust
    tests
    tools
    pyproject.toml
"""
#: Seconds that one machine may take.
PATIENCE = 3_000


def survivors(machine: str) -> Iterator[tuple[str, str, str]]:
    """Run mutmut; yield (state, line before, line after) of every change that nobody noticed."""
    tests = "\n    ".join(f"tests/machines/{name}" for name in TESTS[machine])
    with tempfile.TemporaryDirectory(prefix="faust-lines-") as directory:
        tree = Path(directory)
        copy_tree(tree)
        (tree / "setup.cfg").write_text(_CONFIGURATION.format(machine=machine, tests=tests))
        said = _mutmut(tree, "run")
        results = _mutmut(tree, "results", "--all", "true")
        states = dict(re.findall(r"^\s*(\S+): (.+)$", results, re.MULTILINE))
        if not states or "killed" not in states.values():
            raise SystemExit(f"mutmut has changed nothing of {machine}:\n{said[-3000:]}")
        print(f"{machine}: {len(states)} changes", flush=True)
        for name, state in states.items():
            if state not in ("killed", "timeout"):
                before, after = _changed(_mutmut(tree, "show", name))
                if not _same_but_for_text(before, after):
                    yield state, before, after


def _mutmut(tree: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=tree, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def _changed(diff: str) -> tuple[str, str]:
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    before = "\n".join(line[1:].strip() for line in lines if line.startswith("-"))
    after = "\n".join(line[1:].strip() for line in lines if line.startswith("+"))
    return before, after


def _same_but_for_text(before: str, after: str) -> bool:
    text = re.compile(r"""f?"[^"]*"|f?'[^']*'""")
    return text.sub('""', before) == text.sub('""', after)


def main(machines: Sequence[str]) -> int:
    """Change every line of these machines; return how to exit."""
    unknown = sorted(set(machines) - TESTS.keys())
    if unknown:
        raise SystemExit(f"no tests are named for {', '.join(unknown)}; there are: {list(TESTS)}")
    found = 0
    for machine in machines or TESTS:
        for state, before, after in survivors(machine):
            reason = EQUIVALENT.get((machine, after))
            if reason is None:
                found += 1
                print(f"  {state}: {before}  ->  {after}", flush=True)
            else:
                print(f"  nothing to see ({reason}): {after}", flush=True)
    print(f"{found} changes were noticed by nobody")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
