"""Every call that the interface of earlier versions allows is possible, or told why not."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from api_differences import DIFFERENCES
from api_signatures import ENTRIES, differences


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_difference_has_a_reason_and_every_reason_a_difference() -> None:
    said = [difference for path in ENTRIES for difference in differences(path)]
    unexplained = [each for each in said if not any(fnmatchcase(each, p) for p in DIFFERENCES)]
    assert unexplained == []
    unused = [p for p in DIFFERENCES if not any(fnmatchcase(each, p) for each in said)]
    assert unused == []


def test_what_users_write_every_day_is_as_it_was() -> None:
    """No difference at all where applications are made of it, but for what is listed by name."""
    allowed = ("LiveCheck", "trace", "cache", "transport", "service must be given")
    said = [
        each for each in differences("faust.app.base.App") if not each.count("faust.app.base.B")
    ]
    assert [each for each in said if not any(word in each for word in allowed)] == []
    for path in ("faust.models.record.Record", "faust.tables.manager.TableManager",
                 "faust.windows.HoppingWindow", "faust.windows.TumblingWindow"):  # fmt: skip
        assert differences(path) == []
