"""The oracle says what is wrong, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from faust.testing.oracle import Sighting, Truth, check_sink, check_table, main, make_events

EVENTS = make_events(30, 3, Random(1), seconds=10.0)
TRUTH = Truth(EVENTS)
SINK = [Sighting(event.id, event.key, event.seq) for event in EVENTS]


def test_what_came_out_as_it_went_in_is_right() -> None:
    assert check_sink(TRUTH, SINK, duplicates_allowed=False) == []
    assert check_table("count", TRUTH.counts(), TRUTH.counts()) == []


def test_a_lost_event_is_named() -> None:
    assert check_sink(TRUTH, SINK[:7] + SINK[8:])[0].startswith("I1 no loss: 1 events")


def test_a_record_of_no_event_is_named() -> None:
    assert "999" in check_sink(TRUTH, [*SINK, Sighting(999, "k0", 99)])[0]


def test_a_late_event_is_named_and_a_repeated_one_is_not_late() -> None:
    key = SINK[0].key
    first, second = [s for s in SINK if s.key == key][:2]
    swapped = [second, first, *(s for s in SINK if s not in (first, second))]
    assert check_sink(TRUTH, swapped)[0].startswith("I2 order: 1 ")
    assert check_sink(TRUTH, [*SINK, SINK[0]]) == []


def test_a_duplicate_is_named_where_there_may_be_none() -> None:
    assert check_sink(TRUTH, [*SINK, SINK[0]], duplicates_allowed=False)[0].startswith("I3")


@pytest.mark.parametrize("change", [{"k0": -1}, {"strange": 1}])
def test_a_wrong_table_is_named(change: dict[str, int]) -> None:
    assert check_table("count", {**TRUTH.counts(), **change}, TRUTH.counts())[0].startswith("I4")


def test_a_skipped_event_must_not_come_out() -> None:
    truth = Truth(EVENTS, skipped=[EVENTS[0].id])
    assert "of no event" in check_sink(truth, SINK)[0]


def test_files_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events, sink, counts = tmp_path / "events", tmp_path / "sink", tmp_path / "counts"
    events.write_text("\n".join(json.dumps(event.plain()) for event in EVENTS))
    sink.write_text("\n".join(json.dumps(s._asdict()) for s in SINK))
    counts.write_text(json.dumps({**TRUTH.counts(), "k0": 0}))
    assert main(["judge", str(events), "--sink", str(sink)]) == 0
    said = capsys.readouterr().out
    assert "I1 no loss: all 30 are there" in said
    assert "I4 tables: not asked for" in said
    assert main(["judge", str(events), "--counts", str(counts)]) == 1
    assert "I4 tables: counts" in capsys.readouterr().out


APP = """
import os

import faust

app = faust.App("counter", broker=os.environ["BROKER"], web_enabled=False, store="memory://",
                broker_commit_interval=0.1)
source = app.topic("events", key_type=str, value_type=dict)
sink = app.topic("sink", key_type=str, value_type=dict)
count = app.Table("count", key_type=str, value_type=int, default=int)


@app.agent(source)
async def counting(stream):
    async for key, event in stream.items():
        count[key] += 1
        await sink.send(key=key, value=event)
"""


def test_an_app_is_judged_from_outside(tmp_path: Path) -> None:
    (tmp_path / "counter.py").write_text(APP)
    broker = "sqlite://" + str(tmp_path / "broker.db")
    environment = {**os.environ, "BROKER": broker, "PYTHONPATH": os.pathsep.join(sys.path)}
    log = str(tmp_path / "sent.jsonl")

    def oracle(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "faust.testing.oracle", *arguments],
            capture_output=True, text=True, timeout=200, check=False, env=environment,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    sent = ["--count", "300", "--keys", "9", "--rate", "3000", "--partitions", "3", "--log", log]
    assert oracle("produce", broker, "events", *sent)[0] == 0
    judge = [
        "judge", log, "--patience", "150", "--broker", broker, "--source", "events",
        "--group", "counter", "--sink", "topic:sink", "--counts", "topic:counter-count-changelog",
    ]  # fmt: skip
    worker = subprocess.Popen(
        [sys.executable, "-m", "faust", "-A", "counter", "worker", "--without-web"],
        cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        code, said = oracle(*judge)
        assert code == 0, said
    finally:
        worker.terminate()
        worker.wait(60)
    for line in ("I1 no loss: all 300", "I3 duplicates: none", "I4 tables: equal", "I6 commits: a"):
        assert line in said
    lines = Path(log).read_text().splitlines()
    extra = {"id": 300, "key": "k0", "seq": 999, "ts": 0.0, "partition": 0, "offset": 0}
    Path(log).write_text("\n".join([*lines, json.dumps(extra)]))
    code, said = oracle(*judge, "--exactly-once")
    assert code == 1
    for line in ("I1 no loss: 1 events", "I4 tables: counts: 1 keys", "I6 commits: 1 events"):
        assert line in said


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["judge", "nowhere.jsonl", "--sink", "x"], "nowhere.jsonl"),
        (["judge", __file__, "--sink", "x"], "line 1 is no JSON object with id, key and seq"),
        (["judge", os.devnull], "there is nothing to judge"),
        (["judge", os.devnull, "--group", "app"], "--group and --source belong together"),
        (["judge", os.devnull, "--sink", "topic:seen"], "--broker says where"),
        (["judge", os.devnull, "--sink", "topic:seen", "--broker", "foo://x"], "scheme 'foo'"),
        (["produce", "memory://", "events", "--log", os.devnull, "--rate", "0"], "--rate must be"),
        (["produce", "memory://", "events", "--log", os.devnull, "--count", "0"], "--count must"),
        (["produce", "memory://", "a b", "--log", os.devnull, "--count", "1"], "topic name 'a b'"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    args: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was a traceback, with the status of an invariant that does not hold, or nothing at all."""
    assert main(args) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
