"""What an application is, its parameters, and how it finds its parts."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from guide_snippets import ROOT, SNIPPETS, shows
from guide_world import GuideWorld, send_all, until, virtual

import faust

AGENTS = """
from {shop} import app


@app.agent(app.topic("{name}", internal=True, value_type=int), name="{name}")
async def handle(stream):
    async for value in stream:
        app.seen.append(("{name}", value))
"""


def run(name: str, **names: Any) -> dict[str, Any]:
    return SNIPPETS[name].run(**names)


@shows("What is an Application?/1")
def test_an_app_has_the_id_the_broker_and_the_store_that_it_is_given() -> None:
    """``app.conf`` says id, broker ``kafka://localhost:9092`` and a table is stored in RocksDB."""
    app = run("What is an Application?/1")["app"]
    assert app.conf.id == "example"
    assert [str(url) for url in app.conf.broker] == ["kafka://localhost:9092"]
    assert app.conf.store.scheme == "rocksdb"
    assert app.finalize() is None
    table = app.Table("counts", default=int)
    assert type(app.tables.store_for(table)).__module__ == "faust.stores.rocksdb"


@shows("What is an Application?/2")
@virtual
async def test_two_apps_in_one_process_do_not_touch_each_other(world: GuideWorld) -> None:
    """Both read one topic, as two groups: each handles each event, and counts in its own table."""
    names = run("What is an Application?/2", faust=faust)
    tables = []
    for app in (names["app1"], names["app2"]):
        world.prepare(app)
        topic = app.topic("orders", internal=True, partitions=2, value_type=int)
        table = app.Table("counts", default=int, value_type=int)
        tables.append(table)

        @app.agent(topic, name="count")
        async def count(stream: Any, table: Any = table) -> None:
            async for value in stream:
                table["all"] += value

    async with names["app1"], names["app2"]:
        await send_all(topic, [1, 2], key="all")
        await until(lambda: [table.get("all") for table in tables] == [3, 3])
    assert tables[0].changelog_topic_name == "demo1-counts-changelog"
    assert tables[1].changelog_topic_name == "demo2-counts-changelog"


@shows("Application Parameters/1")
def test_parameters_are_given_by_keyword(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker's host is the one that is given, with Kafka's port."""
    app = run("Application Parameters/1", faust=faust)["app"]
    assert [(url.scheme, url.host, url.port) for url in app.conf.broker] == [
        ("kafka", "kafka.example.com", 9092)
    ]
    assert app.conf.id == "myid"


@shows("broker/1")
def test_several_hosts_are_separated_by_the_semicolon() -> None:
    """The app has both hosts, with the scheme of each."""
    app = faust.App("hosts", broker=SNIPPETS["broker/1"].code)
    assert [(url.scheme, url.host, url.port) for url in app.conf.broker] == [
        ("aiokafka", "kafka1.example.com", 9092),
        ("aiokafka", "kafka2.example.com", 9092),
    ]


@shows("autodiscover/1", "autodiscover/2")
def test_the_program_and_main_both_find_the_app_and_its_origin(tmp_path: Path) -> None:
    """``faust -A`` and ``app.main()`` run a command with the right app, and both set its origin."""
    package = tmp_path / "example"
    package.mkdir()
    (package / "__init__.py").touch()
    code = """
    import faust

    app = faust.App("found", autodiscover=True)


    @app.command()
    async def where():
        print(app.conf.id, app.conf.origin, sorted(app.agents))
    """
    ending = SNIPPETS["autodiscover/2"].code
    (package / "simple.py").write_text(textwrap.dedent(code) + "\n\n" + ending + "\n")
    (package / "agents.py").write_text(
        "from example.simple import app\n\n\n@app.agent(name='other')\n"
        "async def other(stream):\n    async for _ in stream:\n        pass\n"
    )
    console = SNIPPETS["autodiscover/1"].code.split()
    assert (console[0], console[-1]) == ("faust", "worker")
    started = [
        [sys.executable, "-m", *console[:-1], "where"],
        [sys.executable, str(package / "simple.py"), "where"],
    ]
    for command in started:
        shown = subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": f"{ROOT}:{tmp_path}"},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert shown.stdout.split(maxsplit=1)[0] == "found", shown.stderr
        assert "example" in shown.stdout
        assert "['other']" in shown.stdout, shown


def write_agents(world: GuideWorld, shop: str, *packages: str) -> None:
    for package in packages:
        world.module(f"{package}.agents", AGENTS.format(shop=shop, name=package))


async def handled(world: GuideWorld, app: Any, *packages: str) -> None:
    """Start a worker: the agents of all these packages handle what is sent to them."""
    world.prepare(app)
    app.seen = []
    app.discover()
    async with app:
        for package in packages:
            await send_all(app.topic(package, value_type=int), [1])
        await until(lambda: len(app.seen) == len(packages))
    assert sorted(app.seen) == [(package, 1) for package in sorted(packages)]


@pytest.mark.parametrize(
    ("snippet", "packages"),
    [
        ("autodiscover/3", ["proj_orders", "proj_accounts"]),
        ("autodiscover/4", ["proj_orders", "proj_accounts"]),
        ("autodiscover/6", ["package1", "package2"]),
    ],
)
@shows("autodiscover/3", "autodiscover/4", "autodiscover/6")
@virtual
async def test_agents_are_found_in_the_packages_that_are_named(
    world: GuideWorld, snippet: str, packages: list[str]
) -> None:
    """Agents defined in modules that nobody imports handle events after the worker has started."""
    app = run(snippet, App=faust.App)["app"]
    world.module("myproj.shop", "app = None\n")
    import myproj.shop  # type: ignore[import-not-found]

    myproj.shop.app = app
    write_agents(world, "myproj.shop", *packages)
    await handled(world, app, *packages)


@shows("autodiscover/5")
@virtual
async def test_true_scans_the_package_of_the_origin(world: GuideWorld) -> None:
    """With ``True`` an agent in another module of the origin's package handles events."""
    app = run("autodiscover/5", App=faust.App)["app"]
    world.module("myproj.shop", "app = None\n")
    import myproj.shop

    myproj.shop.app = app
    app.conf.origin = "myproj"
    world.module("myproj.agents", AGENTS.format(shop="myproj.shop", name="inside"))
    await handled(world, app, "inside")


@shows("origin/1")
def test_the_origin_is_the_path_by_which_the_app_is_imported(tmp_path: Path) -> None:
    """The import of the guide gives the app; ``-A`` with that path sets this origin."""
    package = tmp_path / "myproj"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "app.py").write_text(
        "import faust\n\napp = faust.App('originals')\n\n\n@app.command()\n"
        "async def where():\n    print(app.conf.origin)\n"
    )
    (tmp_path / "read.py").write_text(SNIPPETS["origin/1"].code + "\nprint(app.conf.id)\n")
    for command, said in (
        ([str(tmp_path / "read.py")], "originals"),
        (["-m", "faust", "-A", "myproj.app", "where"], "myproj.app"),
    ):
        shown = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env={"PYTHONPATH": f"{ROOT}:{tmp_path}"},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert shown.stdout.strip() == said, shown.stderr
