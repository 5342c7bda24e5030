"""What `faust check-migration` finds in the source of an app for an earlier version."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_support import invoke

from faust.cli.check_migration import unseen
from faust.cli.known_differences import DIFFERENCES
from faust.cli.migration_table import MIGRATION_TABLE
from faust.cli.oldcode import facts_of
from tools import migration_table

OLD = """\
import faust
from faust import App
from faust.livecheck import LiveCheck
from faust.sensors.statsd import StatsdMonitor
from faust.web import Blueprint

app = App(
    "shop",
    broker="kafka://localhost",
    store="rocksdb://",
    table_standby_replicas=2,
    processing_guarantee=faust.types.enums.ProcessingGuarantee.EXACTLY_ONCE,
    stream_publish_on_commit=True,
    agent_error_policy="skip",
    misspelled=3,
    stream_recovery_delay=3,
)
app.conf.broker_url = "kafka://other"
orders = app.topic("orders", value_type=str)
totals = app.Table("totals", default=int, partitions=3, key_index=True).tumbling(10)
seen = app.SetTable("seen")


@app.agent(orders, concurrency=4, supervisor_strategy=None)
async def add_up(stream):
    async for event in stream.noack().events():
        totals[event.key] += 1
        async with event:
            print(event.acked)
        seen["x"].append(3)
    async for x in stream.group_by(lambda order: order.account).echo(orders):
        await orders.send(value=None)


@app.timer(1.0)
async def tick():
    totals["tick"] = 3


@app.agent()
def not_async(stream):
    (stream & stream).join(3)
    ", ".join(["no", "stream"])


class Mine(faust.Sensor):
    pass
"""
FINE = """\
import faust


class MyApp(faust.App):
    pass


app = MyApp(
    "fine",
    broker="kafka://",
    agent_error_policy="skip",
    decode_error_policy="skip",
    own_argument=1,
)
counts = app.Table("counts", default=int)


@app.agent(app.topic("words"))
async def count(words):
    async for word in words:
        counts[word] += 1
        await app.send("other", value=word)
        print(" ".join([word]))
"""


def found(*args: str) -> list[dict[str, Any]]:
    ended = invoke("--json", *args)
    assert ended.err == ""
    rows: list[dict[str, Any]] = json.loads(ended.out)
    assert ended.status == (1 if rows else 0)
    return rows


def test_each_difference_in_an_old_app_is_found_at_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.py").write_text(OLD)
    rows = found("check-migration", "shop.py")
    places = {(row["line"], row["what"]) for row in rows}
    assert places == {
        (3, "import faust.livecheck.LiveCheck"),
        (4, "import faust.sensors.statsd.StatsdMonitor"),
        (5, "import faust.web.Blueprint"),
        (7, "faust.App()"),
        (10, "setting store"),
        (12, "setting processing_guarantee"),
        (13, "setting stream_publish_on_commit"),
        (15, "setting misspelled"),
        (16, "setting stream_recovery_delay"),
        (18, "setting broker_url"),
        (20, "app.Table()"),
        (20, "table.tumbling()"),
        (21, "app.SetTable()"),
        (24, "app.agent()"),
        (26, "stream.noack()"),
        (27, "table written (concurrency)"),
        (28, "async with event"),
        (29, "event.acked"),
        (30, "object in a table changed in place"),
        (31, "stream.group_by()"),
        (31, "stream.echo()"),
        (32, "topic.send()"),
        (37, "table written (timer)"),
        (41, "agent: not async"),
        (42, "& of streams"),
        (46, "subclass of faust.Sensor"),
    }
    assert {row["file"] for row in rows} == {"shop.py"}
    assert all(row[name] for row in rows for name in ("subject", "earlier", "here", "why", "todo"))


def test_it_is_told_what_where_why_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.py").write_text("import faust\napp = faust.App('a', decode_error_policy='skip')\n")
    ended = invoke("check-migration", "old.py")
    assert (ended.status, ended.err) == (1, "")
    assert ended.out.startswith(
        "old.py:2: faust.App()\n"
        "    earlier: An exception in an agent is logged, the event is acknowledged and lost.\n"
        "    here:    The event's table writes are undone, and it is tried again"
    )
    assert "\n    why:     " in ended.out
    assert "\n    to do:   " in ended.out
    assert "\n1 places, 1 differences." in ended.out


def test_an_app_without_differences_ends_with_status_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fine.py").write_text(FINE)
    assert found("check-migration", "fine.py") == []
    ended = invoke("check-migration", "fine.py")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Nothing that differs.")
    assert " more differences are seen in no source: --all lists them." in ended.out


def test_folders_are_read_whole_and_an_app_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "oldshop" / "deep"
    package.mkdir(parents=True)
    (tmp_path / "oldshop" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (package / "agents.py").write_text("from faust.livecheck import LiveCheck\n")
    for args in (["check-migration", "oldshop"], ["-A", "oldshop.app", "check-migration"],
                 ["-A", "oldshop.deep.app:app", "check_migration"]):  # fmt: skip
        (row,) = found(*args)
        assert row["file"] == "oldshop/deep/agents.py"
    (row,) = found("-A", "oldshop/deep/agents.py", "check-migration")
    assert row["line"] == 1
    assert "oldshop" not in sys.modules


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["check-migration"], "what is to be read?"),
        (["check-migration", "nothing.py"], "there is no file and no folder 'nothing.py'"),
        (["check-migration", "."], "there is no Python file below ."),
        (["-A", "no_such_module.app", "check-migration"], "there is no module 'no_such_module'"),
    ],
)
def test_nothing_to_read_is_one_sentence(
    args: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = invoke(*args)
    assert (ended.status, ended.out) == (2, "")
    assert told in ended.err


def test_a_file_that_python_cannot_read_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("py2.py").write_text("print 'hello'\n")
    ended = invoke("check-migration", "py2.py")
    assert ended.status == 2
    assert "py2.py, line 1: Python cannot read it: Missing parentheses" in ended.err


def test_what_no_source_shows_is_listed_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fine.py").write_text(FINE)
    assert "A rebalance stops all workers." not in invoke("check-migration", "fine.py").out
    shown = invoke("check-migration", "--all", "fine.py")
    assert shown.status == 0
    assert "earlier: A rebalance stops all workers." in shown.out
    listed = json.loads(invoke("--json", "check-migration", "--all", "fine.py").out)
    assert {row["earlier"] for row in listed} == {e for rows in unseen().values() for e in rows}


def test_every_difference_of_the_document_is_known() -> None:
    told = "make it again: python -m tools.migration_table"
    assert migration_table.MODULE.read_text(encoding="utf-8") == migration_table.render(), told


def test_what_a_source_shows_is_in_the_document_in_the_same_words() -> None:
    lost = [each.earlier for each in DIFFERENCES
            if each.earlier not in MIGRATION_TABLE.get(each.subject, {})]  # fmt: skip
    assert lost == [], "known_differences.py says otherwise than docs/migrating.md"
    assert len({each.earlier for each in DIFFERENCES}) == len(DIFFERENCES) >= 50
    assert all(each.signs for each in DIFFERENCES)


@pytest.mark.parametrize(
    ("code", "kind", "name"),
    [
        ("import faust as f\nx = f.App('x')\nx.SetTable('s')", "call", "app.SetTable"),
        ("from .app import app\nt = app.Table('t')\nt.hopping(1, 2)", "call", "table.hopping"),
        ("t: object = app.Table('t')\ndel t['x']\nt['x'].n = 3", "change", "item"),
        ("@app.page('/')\nasync def f(self, r):\n    t = app.Table('t')\n    t[1] = 2", "write",
         "page"),
        ("async def f(stream: faust.StreamT[int]):\n    stream.echo()", "call", "stream.echo"),
        ("async def f(e: Event):\n    async with e:\n        pass", "with", "event"),
        ("@app.agent(name='a')\nasync def f(s): ...\n@app.agent(name='a')\nasync def g(s): ...",
         "agent", "same name"),
        ("class C:\n    def f(self):\n        self.app.conf.id_format = 'x'", "setting",
         "id_format"),
    ],
)  # fmt: skip
def test_names_are_followed(code: str, kind: str, name: str) -> None:
    assert (kind, name) in {(fact.kind, fact.name) for fact in facts_of(code)}
