"""Dead letters on the command line, on a SQLite broker."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_support import invoke

import faust

PATIENCE = 90.0


def new_app(tmp_path: Path, *, broken: bool = True, seen: list[Any] | None = None) -> faust.App:
    app = faust.App(
        "shop",
        broker=f"sqlite:///{tmp_path}/broker.db",
        datadir=str(tmp_path / "data"),
        web_enabled=False,
        topic_partitions=2,
        broker_commit_interval=0.1,
    )
    topic = app.topic("orders", key_type=str, value_type=int, internal=True)

    @app.agent(topic, name="pay", error_policy="dead_letter", decode_error_policy="dead_letter")
    async def pay(stream: Any) -> None:
        async for event in stream.events():
            if broken and event.value % 3 == 0:
                raise KeyError(event.value) if event.value else ValueError("nothing")
            if seen is not None:
                seen.append((event.key, event.value, event.tp.partition, dict(event.headers)))

    return app


async def _until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what it waits for is not told
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A broker's directory: an agent has put four events of nine among the dead letters."""
    directory = tmp_path_factory.mktemp("filled")

    async def work() -> None:
        app = new_app(directory)
        async with app:
            topic = app.topic("orders", key_type=str, value_type=int)
            for n in range(8):
                await topic.send(n, key=f"k{n}", partition=n % 2, headers={"trace": b"t"})
            await topic.send(b"{", key="bad", partition=1, value_serializer="raw")
            await _until(lambda: app.agents["pay"].dead_lettered == 4)
            await _until(
                lambda: (
                    app.committed_position(faust.types.TP("orders", 1)) == 5
                    and app.committed_position(faust.types.TP("orders", 0)) == 4
                )
            )

    asyncio.run(work())
    return directory


@pytest.fixture
def app(filled: Path, tmp_path: Path) -> faust.App:
    """An app on a copy of that broker."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return new_app(tmp_path)


def as_json(app: faust.App, *args: str) -> Any:
    ended = invoke("--json", "dlq", *args, app=app)
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


def handled(tmp_path: Path, count: int) -> list[Any]:
    """Run the agent, corrected, until it has handled so many events."""
    seen: list[Any] = []

    async def work() -> None:
        async with new_app(tmp_path, broken=False, seen=seen):
            await _until(lambda: len(seen) >= count)

    asyncio.run(work())
    return seen


def test_letters_are_counted_by_agent_and_error(app: faust.App) -> None:
    found = {row["error"]: row for row in as_json(app, "list")}
    counts = {error: (row["letters"], row["redriven"]) for error, row in found.items()}
    assert counts == {
        "KeyError": (2, 0), "ValueError": (1, 0), "faust.exceptions.ValueDecodeError": (1, 0),
    }  # fmt: skip
    row = found["KeyError"]
    assert (row["topic"], row["agent"]) == ("shop-pay-dead-letters", "pay")
    assert row["oldest"] <= row["newest"]
    plain = invoke("dlq", "list", app=app)
    assert "KeyError" in plain.out
    assert "Dead letters" in plain.out


def test_a_letter_is_shown_whole(app: faust.App) -> None:
    (shown,) = as_json(app, "show", "--key", "k3")
    assert (shown["key"], shown["value"], shown["error"]) == ("k3", 3, "KeyError")
    assert shown["origin"] == "orders-1@1"
    assert shown["headers"] == [["trace", "t"]]
    assert "KeyError: 3" in shown["traceback"]
    assert [each["value"] for each in as_json(app, "show", "--error", "ValueDecodeError")] == ["{"]
    assert len(as_json(app, "show", "--limit", "2")) == 2
    plain = invoke("dlq", "show", "--error", "KeyError", app=app).out
    assert "  origin: orders-1@1" in plain
    assert plain.endswith("2 dead letters\n")


def test_what_was_sent_back_is_handled_and_not_sent_back_again(
    app: faust.App, tmp_path: Path
) -> None:
    assert as_json(app, "redrive", "--error", "KeyError", "--dry-run") == {"would_be_redriven": 2}
    assert as_json(app, "redrive", "--error", "KeyError", "--yes") == {"redriven": 2}
    assert as_json(app, "redrive", "--error", "KeyError", "--yes") == {"redriven": 0}
    seen = handled(tmp_path, 2)
    back = {"trace": b"t", "faust-dlq-redriven": b"1"}
    assert sorted(seen) == [("k3", 3, 1, back), ("k6", 6, 0, back)]
    found = {row["error"]: row["redriven"] for row in as_json(app, "list")}
    assert found == {"KeyError": 2, "ValueError": 0, "faust.exceptions.ValueDecodeError": 0}
    assert as_json(app, "redrive", "--error", "KeyError", "--again", "--yes") == {"redriven": 2}


def test_a_log_is_purged_from_its_beginning_only(app: faust.App) -> None:
    assert as_json(app, "purge", "--redriven", "--yes") == {"purged": 0}
    assert as_json(app, "purge", "--dry-run") == {"would_be_purged": 4}
    assert as_json(app, "purge", "--limit", "1", "--yes") == {"purged": 1}
    assert sum(row["letters"] for row in as_json(app, "list")) == 3
    as_json(app, "redrive", "--yes")
    assert as_json(app, "purge", "--redriven", "--yes") == {"purged": 3}
    assert as_json(app, "show") == []


def test_letters_may_go_elsewhere(app: faust.App, tmp_path: Path) -> None:
    assert invoke("send", "spare", "1", app=app).status == 0
    assert as_json(app, "redrive", "--to", "spare", "--yes") == {"redriven": 4}
    ended = invoke("--json", "topics", "--all", app=app)
    spare = next(row for row in json.loads(ended.out) if row["topic"] == "spare")
    assert spare["end offsets"] == 4 + 1


def test_what_changes_something_wants_a_yes(
    app: faust.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO())
    for action in ("redrive", "purge"):
        ended = invoke("dlq", action, app=app)
        assert ended.status == 2
        assert "--yes" in ended.err
        assert "4" in ended.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["look"], "list, show, redrive, purge"),
        (["list", "--topic", "nowhere"], "there is no topic 'nowhere'"),
        (["show", "--limit", "0"], "--limit must be at least 1"),
        (["list", "--to", "other"], "dlq list does not take --to: it is for redrive"),
        (["show", "--yes"], "dlq show does not take --yes: it is for redrive and purge"),
        (["redrive", "--redriven"], "dlq redrive does not take --redriven: it is for purge"),
        (["purge", "--again"], "dlq purge does not take --again: it is for redrive"),
        (["show", "--agent", "pya"], "no dead letter of an agent 'pya', and no such agent"),
        (["purge", "--agent", "pya", "--yes"], "the app has pay"),
        (["redrive", "--to", "orderz", "--yes"], "there is no topic 'orderz' to send"),
        (["purge", "--topic", "orders", "--yes"], "orders-0@0 is no dead letter"),
    ],
)
def test_wrong_use_is_one_sentence(app: faust.App, args: list[str], words: str) -> None:
    ended = invoke("dlq", *args, app=app)
    assert ended.status == 2
    assert words in ended.err
    assert ended.err.count("\n") == 1


def test_a_mistaken_target_was_made_and_the_letters_counted_as_sent_back(app: faust.App) -> None:
    """With ``--to`` a name that was misspelled became a topic, which nobody read."""
    assert invoke("dlq", "redrive", "--to", "orderz", "--yes", app=app).status == 2
    assert "orderz" not in invoke("topics", app=app).out
    assert as_json(app, "redrive", "--dry-run") == {"would_be_redriven": 4}


def test_a_source_topic_was_deleted_as_dead_letters(app: faust.App) -> None:
    """``purge --topic`` took any topic."""
    assert invoke("dlq", "purge", "--topic", "orders", "--yes", app=app).status == 2
    assert len(as_json(app, "show", "--topic", "orders")) == 9
