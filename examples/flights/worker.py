"""A worker of the app, in a process of its own, and questions to its pages."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

HOST = "127.0.0.1"
USUAL_PORT = 6066
#: Seconds to wait until it is ready, and until it has stopped.
PATIENCE = 60.0


class WorkerEnded(Exception):
    """The worker ended by itself, or could not begin."""


class Worker:
    """``faust -A examples.flights.app worker``, for the length of an ``async with`` block.

    Arguments:
        datadir: Where broker and tables are kept.
        port: Where its pages are (default: the usual port, or one that is free).
        settings: Further environment variables.
    """

    def __init__(self, datadir: Path, port: int | None = None, **settings: str) -> None:
        self.datadir = datadir
        self.port = free_port() if port is None else port
        self.log = datadir / "worker.log"
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._client: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Worker:
        options = ["--web-bind", HOST, "--web-port", str(self.port), "--loglevel", "info"]
        command = [sys.executable, "-m", "faust", "--datadir", str(self.datadir)]
        self.datadir.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, "-A", "examples.flights.app", "worker", *options,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self._settings},
            )  # fmt: skip
        self._client = aiohttp.ClientSession(self.url, timeout=aiohttp.ClientTimeout(30))
        try:
            await asyncio.wait_for(self._until_ready(), PATIENCE)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    async def ask(self, path: str) -> Any:
        """Return what a page answers.

        Raises:
            WorkerEnded: the process is gone.
            aiohttp.ClientError: it answers with an error, or not at all.
        """
        assert self._client is not None
        try:
            async with self._client.get(path, raise_for_status=True) as response:
                return await response.json()
        except aiohttp.ClientConnectionError:
            await self._settle()
            self.check_alive()
            raise

    async def kill(self) -> None:
        """End the process in the middle of whatever it does, as ``kill -9``."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def _settle(self) -> None:
        """A process that is about to end has ended when this returns."""
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 2)

    async def _until_ready(self) -> None:
        while True:
            self.check_alive()
            try:
                return await self._look_at_ready()
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)

    async def _look_at_ready(self) -> None:
        assert self._client is not None
        async with self._client.get("/ready", raise_for_status=True):
            pass

    def check_alive(self) -> None:
        """Raise `WorkerEnded`, with the end of its log, if the process has ended."""
        assert self._process is not None
        if self._process.returncode is not None:
            end = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
            raise WorkerEnded(f"{end}\nthe worker has ended; above is the end of {self.log}")

    async def _end(self) -> None:
        """Stop it in good order: what is in progress is finished and committed."""
        if self._client is not None:
            await self._client.close()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()


def free_port() -> int:
    """Return the usual port of a worker, or another one where that is taken."""
    for port in (USUAL_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise WorkerEnded(f"there is no free port on {HOST}")
