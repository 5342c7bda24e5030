from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _data_is_kept_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apps without a ``datadir`` of their own have it in the working directory."""
    monkeypatch.chdir(tmp_path)
