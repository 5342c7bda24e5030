"""Settings of tables."""

from __future__ import annotations

from faust.settings.kinds import Duration, Int
from faust.settings.params import Section, setting

__all__ = ["TableSettings"]


class TableSettings(Section, title="Tables"):
    """How tables are kept."""

    table_cleanup_interval = setting(
        Duration(above_zero=True),
        default=30.0,
        env="TABLE_CLEANUP_INTERVAL",
        text="Seconds between removals of expired windows.",
    )
    table_standby_replicas = setting(
        Int(0),
        default=1,
        env="TABLE_STANDBY_REPLICAS",
        renamed_from=("num_standby_replicas",),
        text="""How many other workers keep a copy of each table's partition, ready to take over
        when its worker is gone; never more than there are other workers. With 0 it is restored from
        its changelog then. Whatever the number, a partition with tables leaves a living worker only
        for one that has a copy of it by then.""",
    )
