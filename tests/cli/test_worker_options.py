"""Options of `worker`: which count, and what reaches the app and its worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_support import invoke

import faust

made: list[dict[str, Any]] = []


class Recorder:
    """A worker that only notes what it was made with."""

    def __init__(self, app: faust.App, **options: Any) -> None:
        made.append(options)

    def execute_from_commandline(self) -> None:
        raise SystemExit(0)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> faust.App:
    for name in ("FAUST_CONSOLE_PORT", "F_CONSOLE_PORT", "FAUST_WEB_BIND", "FAUST_WEB_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    made.clear()
    return faust.App("options", broker="memory://", Worker=Recorder, web_bind="127.0.0.1")


def options(app: faust.App, *args: str) -> dict[str, Any]:
    ended = invoke(*args, app=app)
    assert ended.status == 0, ended.err
    return made[-1]


def test_what_is_given_first_counts(app: faust.App) -> None:
    """(contract cli: options of the worker, before the command and behind it)"""
    behind = ("worker", "-l", "debug", "-f", "behind.log", "--blocking-timeout", "3",
              "--console-port", "40003")  # fmt: skip
    before = ("-l", "ERROR", "-f", "before.log", "--blocking-timeout", "2", "--console-port",
              "40002")  # fmt: skip
    given = options(app, *behind)
    assert (given["loglevel"], given["logfile"]) == ("debug", "behind.log")
    assert (given["blocking_timeout"], given["console_port"]) == (3.0, 40003)
    given = options(app, *before, *behind)
    assert (given["loglevel"], given["logfile"]) == ("error", "before.log")
    assert (given["blocking_timeout"], given["console_port"]) == (2.0, 40002)
    assert app.conf.blocking_timeout == 2.0


def test_what_is_not_given_is_left_to_the_settings(app: faust.App) -> None:
    given = options(app, "worker")
    assert given["loglevel"] is given["logfile"] is given["blocking_timeout"] is None
    assert "console_port" not in given
    assert (given["debug"], given["quiet"], given["workdir"]) == (False, False, None)
    assert (app.conf.web_enabled, app.conf.web_port) == (True, 6066)


def test_the_console_port_may_be_a_variable(
    app: faust.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAUST_CONSOLE_PORT", "40004")
    assert options(app, "worker")["console_port"] == 40004


def test_debug_and_quiet_reach_the_worker(app: faust.App) -> None:
    given = options(app, "-q", "--debug", "worker")
    assert (given["debug"], given["quiet"]) == (True, True)
    assert app.conf.debug is True


def test_the_web_servers_options_change_its_settings_and_the_canonical_url(app: faust.App) -> None:
    options(app, "worker", "-p", "7001", "-b", "127.0.0.2", "-h", "me.example",
            "--web-transport", "unix:///run/x.sock")  # fmt: skip
    conf = app.conf
    assert (conf.web_port, conf.web_bind, conf.web_host) == (7001, "127.0.0.2", "me.example")
    assert (conf.web_transport.scheme, conf.web_transport.path) == ("unix", "/run/x.sock")
    assert str(conf.canonical_url).rstrip("/") == "http://me.example:7001"
    options(app, "worker", "--without-web")
    assert conf.web_enabled is False
    options(app, "worker", "--with-web", "--web-port=0")
    assert (conf.web_enabled, conf.web_port) == (True, 0)


def test_workers_side_by_side_have_a_socket_a_port_and_tables_of_their_own(tmp_path: Path) -> None:
    from faust.cli.state import State
    from faust.cli.supervise import Place
    from faust.cli.worker import worker

    seen = []
    for index in range(3):
        app = faust.App(
            "side", broker="sqlite://", Worker=Recorder, datadir=str(tmp_path),
            consumer_group_instance_id="me",
        )  # fmt: skip
        command = worker(state=State(app=app, quiet=True, console_port=40000))
        command.place = Place(index, 3, 0)
        with pytest.raises(SystemExit):
            command.invoke(web_transport=f"unix://{tmp_path}/x.sock", web_port=7000)
        conf = app.conf
        seen.append((conf.web_port, conf.web_transport.path, str(conf.tabledir), str(conf.datadir),
                     made[-1]["console_port"], conf.consumer_group_instance_id))  # fmt: skip
    sock, tables = f"{tmp_path}/x.sock", f"{tmp_path}/v1/tables"
    assert seen == [
        (7000, sock, tables, str(tmp_path), 40000, "me"),
        (7001, f"{sock}.1", f"{tables}-1", str(tmp_path), 40003, "me-1"),
        (7002, f"{sock}.2", f"{tables}-2", str(tmp_path), 40006, "me-2"),
    ]


def test_the_option_comes_before_the_environment(
    app: faust.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(pitfalls B13)"""
    monkeypatch.setenv("FAUST_WEB_BIND", "127.0.0.9")
    options(app, "worker")
    assert app.conf.web_bind == "127.0.0.9"
    options(app, "worker", "--web-bind", "127.0.0.3")
    assert app.conf.web_bind == "127.0.0.3"


@pytest.mark.parametrize(
    ("args", "datadir"),
    [
        (["-D", "a", "worker"], "a"),
        (["worker", "-D", "b"], "b"),
        (["worker", "--datadir=b"], "b"),
        (["-D", "a", "worker", "-D", "b"], "a"),
    ],
)
def test_the_data_directory_may_stand_before_or_behind(
    app: faust.App, args: list[str], datadir: str
) -> None:
    """(pitfalls B6)"""
    options(app, *args)
    assert str(app.conf.datadir) == datadir


def test_the_banner_says_who_and_where(app: faust.App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    app.Table("counts")
    shown = invoke("-L", "aio", "-l", "info", "worker", "-p", "7002", app=app).out
    rows = dict(
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in shown.splitlines()
        if line.startswith("│")
    )
    assert list(rows) == [
        "id", "broker", "store", "group", "agents", "tables", "web", "log", "pid", "hostname",
        "platform", "drivers", "datadir", "appdir",
    ]  # fmt: skip
    assert (rows["id"], rows["broker"], rows["store"]) == ("options", "memory://", "memory://")
    assert (rows["agents"], rows["tables"]) == ("none", "counts")
    assert rows["web"] == "http://127.0.0.1:7002/"
    assert rows["log"] == "-stderr- (info)"
    assert rows["drivers"].startswith("memory, aiohttp ")
    assert rows["appdir"].endswith("options-data/v1")
    assert shown.startswith(f"ƒaµS† v{faust.__version__}")
    assert "web " not in invoke("worker", "--without-web", app=app).out


def test_a_class_that_is_no_worker_is_one_sentence() -> None:
    app = faust.App("no-worker", broker="memory://", Worker=lambda app, **options: object())
    ended = invoke("worker", app=app)
    assert ended.status == 2
    assert "setting 'Worker'" in ended.err
    assert len(ended.err.splitlines()) == 1
