"""The names of ``import faust``."""

from __future__ import annotations

import faust


def test_every_public_name_is_exported_and_can_be_imported() -> None:
    assert set(faust.__all__) == {"__version__", *faust._HOMES}
    for name in faust.__all__:
        assert getattr(faust, name) is not None
