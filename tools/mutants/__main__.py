"""``python -m tools.mutants``: plant each fault in a copy of the tree; somebody must notice.

Arguments are words: only mutants with one of them in their name are planted.  They are tried side
by side, as many as there are cores (``JOBS=1`` in the environment: one after the other).  The exit
code is 1 if one survives, or if the text that it replaces is not there any more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

from tools.mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
#: Seconds that one check may take; a mutant that hangs is noticed, too.
PATIENCE = 300


def plant(mutant: Mutant, tree: Path) -> str:
    """Change the copy; return "" or what is in the way."""
    file = tree / mutant.file
    text = file.read_text()
    times = text.count(mutant.old)
    if times != 1:
        return f"the text to replace is {times} times in {mutant.file}"
    file.write_text(text.replace(mutant.old, mutant.new))
    return ""


def is_noticed(mutant: Mutant, tree: Path) -> bool:
    """Run its checks until one of them fails."""
    checks: list[list[str]] = []
    if mutant.tests:
        checks.append(["pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests])
    if mutant.scenario:
        scenario = ["--scenario", mutant.scenario, "--seeds", f"0:{mutant.seeds}", "--stop"]
        if mutant.guarantee:
            scenario += ["--guarantee", mutant.guarantee]
        checks.append(["faust.testing.simulation", *scenario])
    return any(_fails(check, tree) for check in checks)


def _fails(check: Sequence[str], tree: Path) -> bool:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", *check],
            cwd=tree,
            env=environment,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    # pytest: 1 for failed tests; anything above means that they could not be run.
    if done.returncode > 1 and check[0] == "pytest":
        sys.stderr.buffer.write(done.stdout + done.stderr)
        raise SystemExit(f"the tests of a mutant cannot be run: {' '.join(check)}")
    return done.returncode != 0


def copy_tree(tree: Path) -> None:
    """Copy what the checks need."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("faust", "tests", "tools", "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=ignored)
        else:
            shutil.copy(source, tree / name)


def check_control(chosen: Sequence[Mutant], pool: ThreadPool) -> None:
    """Without any fault the checks must pass: otherwise they would notice everything."""
    tests = tuple(sorted({test for mutant in chosen for test in mutant.tests}))
    controls = [
        Mutant(f"scenario {scenario}", "", "", "", scenario=scenario, seeds=8)
        for scenario in sorted({mutant.scenario for mutant in chosen if mutant.scenario})
    ]
    if tests:
        controls.append(Mutant("the tests", "", "", "", tests=tests))
    with tempfile.TemporaryDirectory(prefix="faust-mutant-") as directory:
        tree = Path(directory)
        copy_tree(tree)
        noticed = pool.map(lambda control: is_noticed(control, tree), controls)
    failed = [control.name for control, bad in zip(controls, noticed, strict=True) if bad]
    if failed:
        raise SystemExit(f"without any fault there are failures, too: {', '.join(failed)}")


def attempt(mutant: Mutant) -> tuple[Mutant, str, float]:
    """Plant one; return it, what is wrong ("" if it was noticed), and the seconds it took."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faust-mutant-") as directory:
        tree = Path(directory)
        copy_tree(tree)
        trouble = plant(mutant, tree)
        if not trouble and not is_noticed(mutant, tree):
            trouble = "nobody has noticed"
    return mutant, trouble, time.monotonic() - began


def main(words: Sequence[str]) -> int:
    """Plant them all; return how to exit."""
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    survivors: list[str] = []
    with ThreadPool(int(os.environ.get("JOBS", 0)) or os.cpu_count() or 1) as pool:
        check_control(chosen, pool)
        for mutant, trouble, seconds in pool.imap_unordered(attempt, chosen):
            if trouble:
                survivors.append(f"{mutant.name}: {trouble}")
            print(f"{seconds:6.1f} s  {mutant.name}: {trouble or 'noticed'}", flush=True)
    print(f"{len(chosen)} mutants, {len(survivors)} have survived")
    for survivor in survivors:
        print(f"  {survivor}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
