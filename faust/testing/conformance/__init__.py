"""The conformance suite for transports: `faust/transport/base.py` in executable form.

Run it on a driver by subclassing, in a test module of yours (it needs pytest)::

    from faust.testing.conformance import EVERYTHING, World

    class MyWorld(World):
        def url(self) -> str:
            return "mine://127.0.0.1:9092"

        def driver(self) -> type[Transport]:
            return MyTransport

    class TestMine(*EVERYTHING):
        def make_world(self) -> World:
            return MyWorld()

Each part is a class, so a driver that lacks an optional capability leaves out its class:

* `TopicConformance`, `LogConformance`, `ReadingConformance`, `OffsetConformance`,
  `GroupConformance`, `CommitConformance`, `ErrorConformance`: for all.
* `ExpiryConformance`: waits for session and rebalance time-outs (for seconds, if time is real).
* `CleaningConformance`: retention, compaction and its lag; the world's `World.maintain` makes the
  broker look, or waits until it has.
* `TransactionConformance`, `FencingConformance`: optional; transactions, and what becomes of those
  that do not end well.
* `AutoCreateConformance`: for embedded brokers, which create topics on first use.

One `World` is made for each test.  It says where the broker is (`World.url`), which class is its
driver (`World.driver`), what time is
(`World.clock`), how a coroutine is run (`World.run`: override it with `faust.testing.run_virtual`
where time is virtual).  Topics and groups have names of their own in each test, so one broker will
do for all.  A test that needs a pytest fixture (a broker that was started for the run) overrides
``make_world`` and keeps what the fixture gave in an attribute: see ``tests/contract`` of this
project.

Expected answers (`answers`) were recorded from Apache Kafka 4.1 by
``tools/record_kafka_answers.py``.
"""

from faust.testing.conformance.base import Suite, World
from faust.testing.conformance.cleaning import CleaningConformance
from faust.testing.conformance.commits import CommitConformance
from faust.testing.conformance.errors import ErrorConformance
from faust.testing.conformance.expiry import ExpiryConformance
from faust.testing.conformance.fencing import FencingConformance
from faust.testing.conformance.groups import GroupConformance
from faust.testing.conformance.logs import LogConformance
from faust.testing.conformance.offsets import OffsetConformance
from faust.testing.conformance.reading import ReadingConformance
from faust.testing.conformance.topics import AutoCreateConformance, TopicConformance
from faust.testing.conformance.transactions import TransactionConformance

__all__ = [
    "COMMON",
    "EVERYTHING",
    "TRANSACTIONS",
    "AutoCreateConformance",
    "CleaningConformance",
    "CommitConformance",
    "ErrorConformance",
    "ExpiryConformance",
    "FencingConformance",
    "GroupConformance",
    "LogConformance",
    "OffsetConformance",
    "ReadingConformance",
    "Suite",
    "TopicConformance",
    "TransactionConformance",
    "World",
]

#: What every driver must hold.
COMMON = (
    TopicConformance,
    LogConformance,
    ReadingConformance,
    OffsetConformance,
    GroupConformance,
    CommitConformance,
    ErrorConformance,
    ExpiryConformance,
    CleaningConformance,
)

#: What a driver must hold for ``processing_guarantee="exactly_once"``.
TRANSACTIONS = (TransactionConformance, FencingConformance)

#: And what embedded brokers hold besides.
EVERYTHING = (*COMMON, *TRANSACTIONS, AutoCreateConformance)
