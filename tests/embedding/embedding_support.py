"""Programs of other frameworks with an app inside: written to a folder, started, asked, stopped."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.cli.cli_support import PATIENCE, Running, started
from tools.kafka.probe import free_ports

#: An app that adds up numbers; what is around it is the framework's.
APP = """
import os

import faust

app = faust.App(
    "inside", broker=os.environ["FAUST_BROKER_URL"], web_enabled=False, topic_partitions=1,
    broker_commit_interval=0.2,
)
totals = app.Table("totals", default=int, key_type=str, value_type=int)


@app.agent(app.topic("numbers", value_type=int, internal=True), name="add")
async def add(numbers):
    async for number in numbers:
        if number < 0:
            raise ValueError("this app cannot go on")
        totals["all"] += number
        yield totals["all"]
"""


class Site:
    """A server that is running.

    Arguments:
        process: It.
        url: Where it answers.
    """

    def __init__(self, process: Running, url: str) -> None:
        self.process = process
        self.url = url

    def ask(self, path: str) -> Any:
        """Return what a page answers as JSON, once the server is up."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError:
                raise
            except OSError:
                assert self.process.process.poll() is None, self.process.told()
                assert time.monotonic() < deadline, self.process.told()
                time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; return the exit status."""
        self.process.signal(number)
        return self.process.end()


@contextmanager
def serving(folder: Path, files: dict[str, str], *command: str) -> Iterator[Site]:
    """Write files, and run a command in which ``PORT`` stands for a free port."""
    for name, text in {"inside.py": APP, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    (port,) = free_ports(1)
    arguments = [str(port) if part == "PORT" else part for part in command]
    env = {"FAUST_BROKER_URL": f"sqlite:///{folder}/broker.db", "PORT": str(port)}
    with started(folder, *arguments, cwd=folder, **env) as process:
        yield Site(process, f"http://127.0.0.1:{port}")


#: Stopped as it should be: 0, or ended by the signal that uvicorn raises again once it has stopped.
IN_ORDER = (0, -signal.SIGTERM)
UVICORN = ("-m", "uvicorn", "--host", "127.0.0.1", "--port", "PORT", "--loop", "uvloop")
