"""Strings become classes, and code gets the same name however it is started."""

import os
import subprocess
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from faust._core.names import (
    _name_of_script,
    module_name_of,
    qualified_name,
    shorten_name,
    symbol_by_name,
)


class Outer:
    class Inner: ...


@pytest.mark.parametrize("name", ["collections:OrderedDict", "collections.OrderedDict"])
def test_a_path_with_colon_or_dots_names_a_class(name: str) -> None:
    assert symbol_by_name(name) is OrderedDict


def test_a_path_may_name_a_nested_class_or_a_module() -> None:
    assert symbol_by_name(f"{__name__}.Outer.Inner") is Outer.Inner
    assert symbol_by_name(f"{__name__}:Outer.Inner") is Outer.Inner
    assert symbol_by_name("os.path") is os.path
    assert symbol_by_name("os") is os


def test_what_is_no_text_is_returned_as_it_is() -> None:
    assert symbol_by_name(Outer) is Outer


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no module 'nowhere'"),
        ("nowhere.x.Y", "no module 'nowhere'"),
        ("nowhere.x:Y", "no module 'nowhere'"),
        ("os.nothing:Y", r"no module 'os\.nothing'"),
        ("collections.Ordereddict", "'collections' has no 'Ordereddict'.*'OrderedDict'"),
        ("collections:OrderedDict.nope", "'OrderedDict' has no 'nope'"),
        ("", "not a path"),
        (":X", "not a path"),
        ("a..b", "not a path"),
        (".a", "not a path"),
    ],
)
def test_an_error_names_the_part_that_is_missing(name: str, message: str) -> None:
    with pytest.raises(ImportError, match=message):
        symbol_by_name(name)


@pytest.mark.parametrize("separator", [".", ":"])
def test_a_module_that_cannot_be_imported_is_not_called_missing(
    separator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_inside.py").write_text("import a_dependency_that_is_absent\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match=r"broken_inside.*cannot be imported.*a_dependency") as e:
        symbol_by_name(f"broken_inside{separator}X")
    assert isinstance(e.value.__cause__, ModuleNotFoundError)


def test_errors_in_a_module_are_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_syntax.py").write_text("1 +\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SyntaxError):
        symbol_by_name("broken_syntax:X")


def test_a_module_is_named_by_its_import_name() -> None:
    assert module_name_of(Outer) == __name__
    assert qualified_name(Outer.Inner) == f"{__name__}.Outer.Inner"


def test_nested_functions_have_no_locals_in_their_names() -> None:
    def agent() -> None: ...

    function = sys._getframe().f_code.co_name
    assert qualified_name(agent) == f"{__name__}.{function}.agent"
    assert qualified_name(lambda: 0) == f"{__name__}.{function}.lambda"


def _main(**attributes: Any) -> types.ModuleType:
    module = types.ModuleType("__main__")
    module.__spec__ = None
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


@pytest.mark.parametrize(
    ("file", "cwd", "name"),
    [
        ("examples/agent.py", "/proj", "examples.agent"),
        ("/proj/examples/agent.py", "/proj", "examples.agent"),
        ("agent.py", "/proj/examples", "agent"),
        ("./agent.py", "/proj/examples", "agent"),
        ("/elsewhere/agent.py", "/proj", "agent"),
        ("../agent.py", "/proj/examples", "agent"),
        ("/proj/my examples/a.b.py", "/proj", "my_examples.a_b"),
        ("..odd/agent.py", "/proj", "__odd.agent"),
    ],
)
def test_a_script_is_named_by_its_path_from_the_working_directory(
    file: str, cwd: str, name: str
) -> None:
    assert _name_of_script(_main(__file__=file), cwd) == name


def test_an_interactive_session_is_main() -> None:
    assert _name_of_script(_main(), "/proj") == "__main__"
    assert _name_of_script(None, "/proj") == "__main__"


@pytest.mark.parametrize(
    ("arguments", "folder", "name"),
    [
        (["examples/agent.py"], ".", "examples.agent"),
        (["agent.py"], "examples", "agent"),
        (["-m", "examples.agent"], ".", "examples.agent"),
        (["-c", "import examples.agent"], ".", "examples.agent"),
        (["link/agent.py"], ".", "examples.agent"),
    ],
)
def test_an_agent_has_the_same_name_however_it_is_started(
    arguments: list[str], folder: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "__init__.py").touch()  # found before this repository's own
    (tmp_path / "examples" / "agent.py").write_text(
        "from faust._core.names import qualified_name\n"
        "def myagent(): ...\n"
        "print(qualified_name(myagent))\n"
    )
    expected = f"{name}.myagent"
    if arguments[0].startswith("link"):
        (tmp_path / "link").symlink_to(tmp_path / "examples")
        expected = "link.agent.myagent"
    out = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path / folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert out.stdout.strip() == expected


@pytest.mark.parametrize(
    ("origin", "short"),
    [
        ("examples.agent", "myagent"),
        ("examples.agent:app", "myagent"),
        ("examples", "agent.myagent"),
        ("example", "examples.agent.myagent"),
        ("", "examples.agent.myagent"),
        (None, "examples.agent.myagent"),
    ],
)
def test_a_name_is_shortened_against_its_origin(origin: str | None, short: str) -> None:
    assert shorten_name("examples.agent.myagent", origin) == short
