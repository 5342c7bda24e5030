"""Scanning packages for what decorators attached."""

import sys
from pathlib import Path

import pytest

from faust.utils.venusian import ignored, scan

MODULE = """
from faust.utils.venusian import attach
import found_by_scanning
def {name}(): ...
attach({name}, lambda f: found_by_scanning.seen.append(f.__name__), category="{category}")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [
        name for name in sys.modules if name.split(".")[0] in ("proj", "found_by_scanning")
    ]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "found_by_scanning.py").write_text("seen = []\n")
    files = {
        "proj/__init__.py": "",
        "proj/agents.py": MODULE.format(name="one", category="faust.agent"),
        "proj/sub/__init__.py": "from proj.agents import one\n",
        "proj/sub/tasks.py": MODULE.format(name="two", category="faust.task"),
        "proj/__main__.py": "raise RuntimeError('main was imported')",
        "proj/test_it.py": "raise RuntimeError('a test was imported')",
        "proj/tests/__init__.py": "raise RuntimeError('tests were imported')",
        "proj/conftest.py": "raise RuntimeError('conftest was imported')",
    }
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    return tmp_path


def seen() -> list[str]:
    import importlib

    found: list[str] = importlib.import_module("found_by_scanning").seen
    return sorted(found)


@pytest.mark.usefixtures("project")
def test_attached_callbacks_run_once_and_only_for_their_category() -> None:
    scan(["proj"], ["faust.agent", "faust.task"])
    assert seen() == ["one", "two"]


@pytest.mark.usefixtures("project")
def test_other_categories_are_left_alone() -> None:
    scan(["proj"], ["faust.task"])
    assert seen() == ["two"]


@pytest.mark.usefixtures("project")
def test_modules_can_be_left_out() -> None:
    scan(["proj"], ["faust.agent", "faust.task"], ignore=["proj.sub"])
    assert seen() == ["one"]


def test_an_error_in_a_scanned_module_is_raised(project: Path) -> None:
    (project / "proj" / "broken.py").write_text("import a_package_that_is_absent\n")
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_absent"):
        scan(["proj"], ["faust.agent"])


@pytest.mark.usefixtures("project")
def test_a_package_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="proj_missing"):
        scan(["proj_missing"], ["faust.agent"])


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("proj.__main__", True),
        ("proj.test_x", True),
        ("proj.tests.helpers", True),
        ("proj.testing", False),
        ("test_project.agents", False),
        ("proj.attest", False),
    ],
)
def test_main_and_tests_are_left_out(module: str, expected: bool) -> None:
    assert ignored(module) is expected
