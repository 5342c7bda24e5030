"""Application signals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from guide_snippets import ROOT, SNIPPETS, shows
from guide_world import GuideWorld, Printed, until, virtual

import faust
from faust.types import TP


def run(name: str, **names: Any) -> dict[str, Any]:
    return SNIPPETS[name].run(**names)


def reader(world: GuideWorld, id: str = "signals") -> faust.App:
    """An app with an agent on two partitions."""
    app = world.prepare(faust.App(id))

    @app.agent(app.topic("orders", internal=True, partitions=2))
    async def process(stream: Any) -> None:
        async for _ in stream:
            pass

    return app


@shows("App.on_partitions_assigned/1", "App.on_partitions_revoked/1")
@virtual
async def test_the_partitions_that_come_and_go_are_told(
    world: GuideWorld, printed: Printed
) -> None:
    """Both partitions are assigned at the start; one is revoked when a second worker comes."""
    app, second = reader(world), reader(world)
    run("App.on_partitions_assigned/1", app=app)
    run("App.on_partitions_revoked/1", app=app)
    both = {TP("orders", 0), TP("orders", 1)}
    async with app:
        await until(lambda: f"Partitions are being assigned: {both}" in printed())
        async with second:
            await until(
                lambda: any(
                    f"Partitions are being revoked: { {tp} }".replace("{ ", "{").replace(" }", "}")
                    in printed()
                    for tp in both
                )
            )


@shows("App.on_partitions_revoked/2")
@virtual
async def test_a_signal_of_the_class_is_sent_for_every_app(world: GuideWorld) -> None:
    """A handler on ``faust.App`` is called for two apps; it is disconnected afterwards."""
    told: list[str] = []

    names = run("App.on_partitions_revoked/2", faust=faust, AppT=faust.App, Set=set, TP=TP)
    handler = names["on_partitions_revoked"]

    def trace(frame: Any, event: str, arg: Any) -> None:
        if event == "call" and frame.f_code is handler.__code__:
            told.append(frame.f_locals["app"].conf.id)

    apps = [reader(world, "one"), reader(world, "two")]
    sys.setprofile(trace)
    try:
        async with apps[0], apps[1]:
            await until(lambda: all(app.engine.tasks for app in apps))
    finally:
        sys.setprofile(None)
        faust.App.on_partitions_revoked.disconnect(handler)
    assert set(told) == {"one", "two"}


@shows("App.on_configured/1")
def test_a_handler_changes_the_configuration_while_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The variables of the guide decide on broker and store; unset they mean the defaults."""
    monkeypatch.delenv("FAUST_BROKER", raising=False)
    monkeypatch.delenv("STORE_URL", raising=False)
    plain = run("App.on_configured/1")["app"]
    assert [str(url) for url in plain.conf.broker] == ["kafka://localhost:9092"]
    assert str(plain.conf.store) == "memory:"
    monkeypatch.setenv("FAUST_BROKER", "kafka://elsewhere:1234")
    monkeypatch.setenv("STORE_URL", "rocksdb://")
    told = run("App.on_configured/1")["app"]
    assert [str(url) for url in told.conf.broker] == ["kafka://elsewhere:1234"]
    assert told.conf.store.scheme == "rocksdb"


@shows("App.on_before_configured/1", "App.on_after_configured/1")
def test_handlers_are_told_before_and_after(printed: Printed) -> None:
    """Both print their line, in this order, once, when the configuration is first read."""
    app = faust.App("told")
    before = run("App.on_before_configured/1", app=app)["before_configuration"]
    after = run("App.on_after_configured/1", app=app)["after_configuration"]
    assert callable(before)
    assert callable(after)
    assert printed() == []
    assert app.conf.id == "told"
    assert app.conf.id == "told"
    first, second = printed()
    assert first.startswith("App <App: ")
    assert first.endswith(" is being configured")
    assert second.endswith(" has been configured.")


@shows("App.on_worker_init/1")
def test_the_worker_program_tells_that_it_begins(tmp_path: Path) -> None:
    """``app.main()`` prints the handler's line once, before the command runs."""
    code = "import faust\n\napp = faust.App('inited')\n\n" + SNIPPETS["App.on_worker_init/1"].code
    code += "\n\n@app.command()\nasync def go():\n    print('RUN')\n\n\napp.main()\n"
    (tmp_path / "inited.py").write_text(code)
    shown = subprocess.run(
        [sys.executable, "inited.py", "go"], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    first, second = shown.stdout.splitlines()
    assert first.startswith("Working starting for app <App: inited")
    assert second == "RUN"
