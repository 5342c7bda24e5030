"""The names of ``import faust``."""

from __future__ import annotations

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
