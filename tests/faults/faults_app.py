"""A worker to be killed: counts per key, remembers the last number, sends the id to the sink.

It is imported by ``faust -A faults_app worker`` and nobody else.  What differs between runs comes
by environment variables (`faults_cluster` sets them).  It ends by itself when whoever started it is
gone.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

from faults_marks import Marks

import faust

NAME = os.environ["FAULTS_NAME"]
#: Every so many events of the flow one that waits inside itself, so that cuts meet it there.
SLOW_EVERY = 50
SLOW_SECONDS = 0.005

app = faust.App(
    os.environ["FAULTS_APP"],
    broker=os.environ["FAULTS_BROKER"],
    store=os.environ["FAULTS_STORE"],
    web_host="127.0.0.1",
    topic_partitions=int(os.environ["FAULTS_PARTITIONS"]),
    topic_replication_factor=int(os.environ["FAULTS_REPLICAS"]),
    broker_session_timeout=float(os.environ["FAULTS_SESSION"]),
    broker_heartbeat_interval=float(os.environ["FAULTS_HEARTBEAT"]),
    broker_commit_interval=float(os.environ["FAULTS_COMMIT_INTERVAL"]),
    broker_unavailable_timeout=float(os.environ.get("FAULTS_UNAVAILABLE", "0")) or None,
    processing_guarantee=os.environ["FAULTS_GUARANTEE"],
)


class Numbered(faust.Record):
    """An event of the flow."""

    id: int
    key: str
    seq: int
    ts: float


class Seen(faust.Record):
    """A record of the sink: what was seen, and by whom."""

    id: int
    key: str
    seq: int
    by: str
    at: float


events = app.topic(os.environ["FAULTS_EVENTS"], key_type=str, value_type=Numbered)
sink = app.topic(os.environ["FAULTS_SINK"], key_type=str, value_type=Seen)
count = app.Table("count", default=int, key_type=str, value_type=int)
last = app.Table("last", default=int, key_type=str, value_type=int)
marks = Marks(Path(os.environ["FAULTS_MARKS"]))
#: Seconds that a restore waits before it begins, so that it can be met.
RESTORE_PAUSE = float(os.environ.get("FAULTS_RESTORE_PAUSE", "0"))
#: A file with the seconds for which to block the whole loop, inside an event; then it is removed.
BLOCK = Path(os.environ["FAULTS_MARKS"] + ".block")
#: (id, seconds): the event at which to block the whole loop, once.
_block_at, _block_for = (float(x) for x in os.environ.get("FAULTS_BLOCK", "-1:0").split(":"))


@app.agent(events)
async def counter(stream: Any) -> None:
    """Count, remember, tell."""
    async for event in stream:
        count[event.key] += 1
        if event.id % SLOW_EVERY == 0:
            await wait_inside()
        if event.id >= _block_at >= 0:
            _block_once()
        last[event.key] = event.seq
        await sink.send(
            key=event.key,
            value=Seen(id=event.id, key=event.key, seq=event.seq, by=NAME, at=time.time()),
        )


async def wait_inside() -> None:
    """Be inside an event for a while, with one table written and the other not."""
    marks.begin("event")
    await asyncio.sleep(SLOW_SECONDS)
    _block_if_asked()
    marks.end("event")


def _block_once() -> None:
    global _block_at
    _block_at = -1.0
    _block(_block_for)


def _block_if_asked() -> None:
    if BLOCK.exists():
        seconds = float(BLOCK.read_text())
        BLOCK.unlink()
        _block(seconds)


def _block(seconds: float) -> None:
    print(f"blocking for {seconds} s", flush=True)
    time.sleep(seconds)
    print("blocking is over", flush=True)


@app.page("/dump/")
async def dump(self: Any, request: Any) -> Any:
    """What this worker has: partitions, tables, and whether it is ready."""
    engine = app.engine
    return self.json(
        {
            "waiting_for": app.not_ready_because(),
            "partitions": sorted(t.run.partition for t in engine.tasks.values()) if engine else [],
            "rounds": app.rebalancing_count,
            "count": count.as_dict(),
            "last": last.as_dict(),
        }
    )


def _watch_the_engine() -> None:
    """Let the marks say what the engine is doing."""
    from faust._engine.committer import Committer
    from faust._engine.restorer import Restorer

    for owner, name, phase in (
        (Committer, "_produce", "produce"),
        (Committer, "_commit", "commit"),
        (Restorer, "_restore_table", "restore"),
        (Restorer, "_take_back", "undo"),
    ):
        pause = RESTORE_PAUSE if phase == "restore" else 0.0
        setattr(owner, name, marks.wrap(phase, getattr(owner, name), pause))
    for name, phase in (("_cut", "cut"), ("_apply", "apply")):
        setattr(Committer, name, marks.wrap_sync(phase, getattr(Committer, name)))


def _end_with_parent() -> None:
    """Standard input is a pipe that nobody writes: its end is the end of who started us."""
    os.read(0, 1)
    os._exit(70)


threading.Thread(target=_end_with_parent, daemon=True).start()
_watch_the_engine()
