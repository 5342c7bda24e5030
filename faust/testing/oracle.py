"""The oracle: what must come out, known from what went in; and what to call it when it does not.

As a program it judges any app that counts events by key and sends each event on (and what it
judges may as well be files)::

    python -m faust.testing.oracle produce kafka://localhost events --count 10000 --log sent.jsonl
    python -m faust.testing.oracle judge sent.jsonl --broker kafka://localhost --source events \\
        --group my-app --sink topic:seen --counts topic:my-app-count-changelog

Each invariant is a line; the exit status is 1 if one of them does not hold, and 2 if it could not
be asked.

==============  ==========================================================================
I1 no loss      every id is in the sink
I2 order        for each key, first occurrences in the sink are in ``seq`` order
I3 duplicates   only of events that were not committed before a fault; none, with
                ``--exactly-once``
I4 tables       every table equals the truth
I5 progress     everything is committed; no partition with lag stood still for long
I6 commits      what is committed is in the sink, and no commit is above the log's end
==============  ==========================================================================
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from faust.exceptions import FaustError
from faust.testing.judging import check_judging, check_sending, judge, send
from faust.testing.truth import (
    Event,
    Sighting,
    Truth,
    check_sink,
    check_table,
    lost_ids,
    make_events,
    repeated_ids,
    wrong_keys,
)

__all__ = [
    "Event",
    "Sighting",
    "Truth",
    "check_sink",
    "check_table",
    "lost_ids",
    "make_events",
    "repeated_ids",
    "wrong_keys",
]


def main(argv: Sequence[str] | None = None) -> int:
    """Send, or judge; return 1 if anything is wrong, 2 if it could not be asked."""
    parser = argparse.ArgumentParser(
        prog="python -m faust.testing.oracle",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_produce(commands.add_parser("produce", help="send numbered events to a topic"))
    _add_judge(commands.add_parser("judge", help="say whether what came out is right"))
    given = parser.parse_args(argv)
    try:
        if given.command == "produce":
            check_sending(given)
            return send(given)
        check_judging(given)
        return judge(given)
    except (OSError, ValueError, FaustError) as exc:
        print(f"{parser.prog}: {exc}", file=sys.stderr)
        return 2


def _add_produce(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("broker", help="its URL, as in the app's settings")
    parser.add_argument("topic", help="where the app reads; made if there is none")
    parser.add_argument("--count", type=int, default=10_000, help="events (default 10000)")
    parser.add_argument("--keys", type=int, default=100, help="keys (default 100)")
    parser.add_argument("--rate", type=float, default=1_000.0, help="a second (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="draws the keys (default 0)")
    parser.add_argument("--partitions", type=int, default=8, help="of a new topic (default 8)")
    parser.add_argument("--log", required=True, help="file for what was acknowledged")


def _add_judge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("events", help="what was sent: a JSON object {id,key,seq,ts} a line")
    parser.add_argument("--broker", help="its URL, for topics and commits")
    parser.add_argument("--sink", help="what came out, {id,key,seq} each: a file, or topic:NAME")
    parser.add_argument("--counts", help="table key -> number of events: a file with a JSON "
                                         "object, or topic:NAME of its changelog")  # fmt: skip
    parser.add_argument("--last", help="table key -> last seq, likewise")
    parser.add_argument("--group", help="id of the app, whose commits are looked at")
    parser.add_argument("--source", help="topic that the events were sent to")
    parser.add_argument("--patience", type=float, default=60.0,
                        help="seconds to wait for the last commit (default 60)")  # fmt: skip
    parser.add_argument("--exactly-once", action="store_true", help="no duplicates are allowed")
    parser.add_argument("--unordered", action="store_true", help="do not ask for I2")
    parser.add_argument("--read-uncommitted", action="store_true", help="aborted records, too")
    parser.add_argument("--scenario", type=int, default=1,
                        help="number for the log of reliability (default 1)")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
