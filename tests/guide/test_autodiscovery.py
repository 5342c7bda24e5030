"""What `autodiscover` scans, in each of its forms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from guide_snippets import ROOT
from guide_world import GuideWorld

import faust
from faust.exceptions import ImproperlyConfigured

#: Everything that is there to be found; each module says that it was imported.
MODULES = ("myproj.app", "myproj.parts", "myproj.sub.more", "proj_orders.parts", "package1")
PROJECT, SUB = ["myproj.app", "myproj.parts", "myproj.sub.more"], ["myproj.sub.more"]


@pytest.fixture
def imported(world: GuideWorld, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has been imported of the modules."""
    said: list[str] = []
    monkeypatch.setattr(sys, "said_to_be_imported", said, raising=False)
    monkeypatch.syspath_prepend(str(world.directory))
    for name in MODULES:
        world.module(name, "import sys\n\nsys.said_to_be_imported.append(__name__)\n")
    for name in ("myproj.__main__", "myproj.tests.parts", "myproj.test_parts", "myproj.conftest"):
        world.module(name, "raise SystemExit('must not be imported')\n")
    return said


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("myproj", PROJECT),
        ("myproj.app", PROJECT),
        ("myproj.app:app", PROJECT),
        ("myproj.gone", PROJECT),  # an attribute of the package, say
        ("myproj.sub", SUB),
        ("myproj.sub.more", SUB),
        ("package1", ["package1"]),
        ("package1:app", ["package1"]),
    ],
)
def test_the_origin_is_a_package_or_a_module_in_it(
    imported: list[str], origin: str, expected: list[str]
) -> None:
    app = faust.App("shop", autodiscover=True, origin=origin)
    app.discover()
    app.discover()
    assert sorted(imported) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["proj_orders"], ["proj_orders.parts"]),
        (("package1", "myproj.sub"), [*SUB, "package1"]),
        (["myproj.parts"], ["myproj.parts"]),
        (["package1", "package1"], ["package1"]),
        (lambda: ["proj_orders"], ["proj_orders.parts"]),
        (lambda: iter(["proj_orders", "package1"]), ["package1", "proj_orders.parts"]),
        ([], []),
        (lambda: (), []),
        (False, []),
        (None, []),
    ],
)
def test_what_is_named_is_scanned_and_nothing_else(
    imported: list[str], wanted: Any, expected: list[str]
) -> None:
    """Also where an origin is known: only ``True`` looks at it."""
    faust.App("shop", autodiscover=wanted, origin="myproj").discover()
    assert sorted(imported) == expected


def test_nothing_is_scanned_by_default_and_what_discover_is_given_is(imported: list[str]) -> None:
    app = faust.App("shop", origin="myproj")
    app.discover()
    assert imported == []
    app.discover("proj_orders", "package1")
    assert sorted(imported) == ["package1", "proj_orders.parts"]


def test_true_without_an_origin_is_an_error_that_says_what_to_give() -> None:
    with pytest.raises(ImproperlyConfigured, match="origin="):
        faust.App("shop", autodiscover=True).discover()


@pytest.mark.parametrize(
    "wanted", ["package1", 3, [3], lambda: "package1", lambda: None, lambda: [3]]
)
def test_what_names_no_packages_is_an_error_that_names_the_setting(
    imported: list[str], wanted: Any
) -> None:
    """A function that returned a text had its letters scanned."""
    with pytest.raises(ImproperlyConfigured, match="autodiscover") as failed:
        faust.App("shop", autodiscover=wanted).discover()
    assert "package" in str(failed.value)
    assert imported == []


def test_a_package_that_is_not_there_is_named(imported: list[str]) -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        faust.App("shop", autodiscover=["nowhere"]).discover()


def test_an_error_of_ones_own_in_a_scanned_module_is_shown_with_its_line(tmp_path: Path) -> None:
    """Any exception, not only an import that fails; also from a script with ``app.main()``."""
    (tmp_path / "myproj").mkdir()
    (tmp_path / "myproj" / "__init__.py").touch()
    (tmp_path / "myproj" / "parts.py").write_text("def make():\n    return 1 / 0\n\n\nmake()\n")
    (tmp_path / "begin.py").write_text(
        "import faust\n\napp = faust.App('shop', autodiscover=['myproj'], web_enabled=False,\n"
        "                broker='memory://never')\n\nif __name__ == '__main__':\n    app.main()\n"
    )
    shown = subprocess.run(
        [sys.executable, "begin.py", "worker"], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert shown.returncode != 0
    assert "ZeroDivisionError" in shown.stderr
    assert "parts.py" in shown.stderr
    assert "return 1 / 0" in shown.stderr
    assert "ready" not in shown.stdout + shown.stderr
