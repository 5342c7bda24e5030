from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from guide_world import GuideWorld, Printed


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GuideWorld]:
    """The surroundings of a snippet; modules that the test writes are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = GuideWorld(tmp_path, monkeypatch.setenv)
    yield made
    made.close()
    for name in set(sys.modules) - before:
        if name.split(".")[0] in {"myproj", "proj_orders", "proj_accounts", "package1", "package2"}:
            del sys.modules[name]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """The lines that were printed."""
    return Printed(capsys)
