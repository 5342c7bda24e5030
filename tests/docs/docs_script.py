"""Runs the Python blocks of one page, one after the other, as one program.

Started by `docs_running` with a JSON list of [language, code, place]; prints a JSON list of
what each has printed.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import sys
import types
import warnings
from typing import Any


def main(path: str) -> None:
    """Run the blocks in a file."""
    with open(path, encoding="utf-8") as source:
        blocks = json.load(source)
    module = types.ModuleType("page")
    module.__dict__["__file__"] = path
    sys.modules["page"] = module
    sys.path.insert(0, "")
    printed = [_run(language, code, place, module.__dict__) for language, code, place in blocks]
    print(json.dumps(printed))


def _run(language: str, code: str, place: str, names: dict[str, Any]) -> str:
    if language == "pycon":
        _check_session(code, place, names)
        return ""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, place, "exec", dont_inherit=True), names)
    return out.getvalue()


def _check_session(code: str, place: str, names: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(code, names, place, place, 0)
    told: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    runner.run(test, out=told.append, clear_globs=False)
    names.update(test.globs)
    if runner.failures:
        raise SystemExit("".join(told))


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(sys.argv[1])
