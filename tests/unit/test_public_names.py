"""The names of ``import faust``."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import faust


def test_every_public_name_is_exported_and_can_be_imported() -> None:
    here = {"__author__", "__homepage__", "__version__", "VERSION", "VersionInfo"}
    here |= {"version_info", "version_info_t"}
    assert set(faust.__all__) == {*here, *faust._HOMES}
    for name in faust.__all__:
        assert getattr(faust, name) is not None


def test_the_version_is_taken_apart() -> None:
    """(pitfalls C57)"""
    info = faust.version_info
    assert faust.VERSION is info
    assert info >= (2, 0)
    assert faust.__version__.startswith(f"{info.major}.{info.minor}.{info.micro}")
    assert faust._taken_apart("2.1.10rc3") == (2, 1, 10, "rc", "3")
    assert faust._taken_apart("2.1.10") == (2, 1, 10, "", "")
    assert faust._taken_apart("2.0.0.dev0") == (2, 0, 0, "dev", "0")


def test_a_part_was_there_only_after_somebody_had_imported_it() -> None:
    """``import faust`` and ``faust.types.TP``, in a process that has imported nothing else."""
    code = "import faust; print(faust.types.TP('t', 0), faust.sensors.Monitor, faust.web.View)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("t-0 "), done.stderr


def test_every_part_is_a_module_and_no_public_name() -> None:
    modules = {each.name for each in pkgutil.iter_modules(faust.__path__)}
    public = {name for name in modules if not name.startswith("_")}
    assert public == faust._PARTS
    assert not faust._PARTS & {*faust.__all__}
