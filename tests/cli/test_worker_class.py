"""`faust.Worker` as a class: what it has, what may be overridden, and running it by hand."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mode
import pytest

import faust


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def app(tmp_path: Path) -> faust.App:
    return faust.App("by-hand", broker="memory://", web_enabled=False, datadir=str(tmp_path))


def stop_when_up(worker: Any) -> None:
    """Let a worker stop itself as soon as everything runs."""

    async def up() -> None:
        worker.seen.append("started up")
        asyncio.get_running_loop().call_soon(worker.add_future, worker.stop())

    worker.seen = []
    worker.on_startup_finished = up


def test_it_is_a_worker_of_mode_with_the_attributes_of_old(app: faust.App, tmp_path: Path) -> None:
    worker = faust.Worker(
        app, loglevel="INFO", logfile="x.log", workdir=str(tmp_path), blocking_timeout=2.0,
        console_port=50999, redirect_stdouts=True, redirect_stdouts_level="ERROR", quiet=True,
        debug=True, logging_config={"a": 1},
    )  # fmt: skip
    assert isinstance(worker, mode.Worker)
    assert worker.app is app
    assert worker.sensors == []
    assert worker.workdir == tmp_path
    assert worker.spinner is None
    assert isinstance(worker.logger, object)
    assert (worker.loglevel, worker.logfile, worker.console_port) == ("INFO", "x.log", 50999)
    assert (worker.redirect_stdouts, worker.redirect_stdouts_level) == (True, logging.ERROR)
    assert (worker.quiet, worker.debug, worker.logging_config) == (True, True, {"a": 1})
    assert app.conf.blocking_timeout == 2.0
    assert list(worker.on_init_dependencies()) == [app]
    assert faust.Worker(app).console_port == 50101
    assert isinstance(app.Worker(loglevel="WARN"), faust.Worker)


def test_its_hooks_are_called_in_order_and_services_and_sensors_are_used(app: faust.App) -> None:
    seen: list[str] = []

    class Extra(mode.Service):
        async def on_start(self) -> None:
            seen.append("service")

    class Mine(faust.Worker):
        async def on_first_start(self) -> None:
            seen.append("first start")
            await super().on_first_start()

        async def on_execute(self) -> None:
            seen.append("execute")

        def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
            seen.append(f"logger {logger.name} {level}")

        async def on_startup_finished(self) -> None:
            seen.append("finished")
            self._on_signal_now()

        def _on_signal_now(self) -> None:
            asyncio.get_running_loop().call_soon(self._ask_to_stop)

        def _ask_to_stop(self) -> None:
            assert self._asked_to_stop is not None
            self._asked_to_stop.set()

        def on_worker_shutdown(self) -> None:
            seen.append("shut down")

    sensor = faust.Sensor()
    worker = Mine(app, Extra(), sensors=[sensor], loglevel="ERROR", quiet=True)
    before = sys.getswitchinterval()
    assert worker.run() == 0
    assert seen == [
        "first start", "logger root 40", "execute", "service", "finished", "shut down",
    ]  # fmt: skip
    assert app.in_worker
    assert sys.getswitchinterval() == before


def test_it_can_be_run_by_hand_in_a_loop_and_closes_it(app: faust.App) -> None:
    """(pitfalls C62)"""
    loop = asyncio.new_event_loop()
    worker: Any = faust.Worker(app, loop=loop, loglevel="ERROR", quiet=True)
    stop_when_up(worker)
    try:
        loop.run_until_complete(worker.start())
    finally:
        worker.stop_and_shutdown_loop()
    assert worker.seen == ["started up"]
    assert loop.is_closed()
    assert not app.started or app.should_stop
    assert faust.Worker.stop_and_shutdown is faust.Worker.stop_and_shutdown_loop


def test_it_ends_with_a_status(app: faust.App) -> None:
    @app.task
    async def breaks() -> None:
        raise ValueError("my bug")

    with pytest.raises(SystemExit) as ended:
        faust.Worker(app, loglevel="CRITICAL", quiet=True).execute_from_commandline()
    assert ended.value.code == 1


def test_its_logging_may_be_configured(app: faust.App, tmp_path: Path) -> None:
    worker: Any = faust.Worker(
        app, quiet=True,
        logging_config={
            "formatters": {"plain": {"format": "%(levelname)s %(message)s"}},
            "handlers": {
                "own": {"class": "logging.FileHandler", "filename": str(tmp_path / "own.log"),
                        "formatter": "plain"},
            },
            "root": {"handlers": ["own"], "level": "INFO"},
        },
    )  # fmt: skip
    stop_when_up(worker)
    asyncio.run(worker.start())
    assert "INFO Worker ready" in (tmp_path / "own.log").read_text()


def test_the_settings_handlers_are_the_only_ones(tmp_path: Path) -> None:
    records: list[str] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    handler = Keeps()
    app = faust.App(
        "handlers", broker="memory://", web_enabled=False, datadir=str(tmp_path),
        loghandlers=[handler],
    )  # fmt: skip
    worker: Any = faust.Worker(app, loglevel="INFO", quiet=True)
    stop_when_up(worker)
    asyncio.run(worker.start())
    assert logging.getLogger().handlers == [handler]
    assert "Worker ready" in records


def test_what_the_app_prints_goes_to_the_log_where_that_is_asked_for(
    app: faust.App, tmp_path: Path
) -> None:
    @app.task
    async def prints() -> None:
        print("printed by the app")

    log = tmp_path / "own.log"
    worker: Any = faust.Worker(app, logfile=str(log), redirect_stdouts=True, quiet=True)
    stop_when_up(worker)
    asyncio.run(worker.start())
    assert "[WARNING] printed by the app" in log.read_text()


def test_the_working_directory_is_changed(app: faust.App, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(Path.cwd())
    worker: Any = faust.Worker(app, workdir=tmp_path, loglevel="ERROR", quiet=True)
    stop_when_up(worker)
    asyncio.run(worker.start())
    assert Path.cwd() == tmp_path
