"""The table "guide section, snippet, test", made from the tests; run this file to write it."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))

from guide_readings import AS_PRINTED, READINGS
from guide_readings import rows as readings
from guide_snippets import ROOT, SNIPPETS

TABLE = ROOT / "docs" / "guide-coverage.md"

_HEAD = """\
# The application guide, snippet by snippet

Every block of code in the [application guide](application-guide.rst) is taken out of it by a script
and run. This table says by which test, and what that test sees happen. It is made from the tests:
do not edit it.

| section of the guide | line | language | test | what it asserts |
|---|---|---|---|---|
"""

_READINGS = """
## Where the guide leaves something open

| what holds | test |
|---|---|
"""

_AS_PRINTED = """
## What other guides print

Of these, earlier versions of Faust ran none as printed.

| what is printed | test |
|---|---|
"""


@dataclass(frozen=True)
class Shown:
    """A test that shows some snippets.

    Arguments:
        test: Its file below the root, and its name.
        effect: The first line of its docstring.
    """

    test: str
    effect: str


@cache
def shown_by_snippet() -> dict[str, list[Shown]]:
    """Return the tests that are marked with `shows`, by snippet, without importing them."""
    found: dict[str, list[Shown]] = {}
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for name in _shown_by(node, tree):
                    docstring = (ast.get_docstring(node) or "").partition("\n\n")[0]
                    test = f"{file.relative_to(ROOT)}::{node.name}"
                    shown = Shown(test, " ".join(docstring.split()))
                    found.setdefault(name, []).append(shown)
    return found


def _shown_by(node: ast.FunctionDef | ast.AsyncFunctionDef, tree: ast.Module) -> list[str]:
    for decorator in node.decorator_list:
        if (
            isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Name)
            and decorator.func.id == "shows"
        ):
            return [name for arg in decorator.args for name in _names(arg, tree)]
    return []


def _names(arg: ast.expr, tree: ast.Module) -> list[str]:
    """``"a/1"``, or ``*(f"{setting}/1" for setting in CLASSES)``."""
    if isinstance(arg, ast.Constant):
        return [str(arg.value)]
    assert isinstance(arg, ast.Starred), ast.dump(arg)
    suffix = ast.unparse(arg).split("}")[1].split("'")[0]
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "CLASSES"
    )
    assert isinstance(table, ast.Dict)
    return [f"{ast.literal_eval(key)}{suffix}" for key in table.keys if key is not None]


def rendered() -> str:
    """Return the table as it should be in the documents."""
    rows = []
    for name, snippet in SNIPPETS.items():
        for shown in shown_by_snippet().get(name, []):
            file, _, test = shown.test.partition("::")
            link = f"[`{test}`](../{file})"
            cells = [name, str(snippet.line), snippet.language, link, shown.effect]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            _HEAD + "\n".join(rows),
            _READINGS + "\n".join(readings(READINGS)),
            _AS_PRINTED + "\n".join(readings(AS_PRINTED)),
            "",
        ]
    )


if __name__ == "__main__":
    TABLE.write_text(rendered(), "utf-8")
