"""Real processes of the program: run to their end, or started and watched."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
#: No wait is longer than this (seconds).
PATIENCE = 80.0


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FAUST_", "F_"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "FAUST_BROKER_URL": f"sqlite:///{tmp_path}/broker.db",
        "FAUST_DATADIR": str(tmp_path / "data"),
        "FAUST_WEB_BIND": "127.0.0.1",
        "FAUST_WEB_PORT": "0",
        "COLUMNS": "100",
        **more,
    }


def run(
    tmp_path: Path, *args: str, cwd: Path = ROOT, stdin: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to the end."""
    return subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env=environment(tmp_path, **env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def invoke(*args: str, app: Any = None, terminal: bool = False) -> Ended:
    """Run the program in this process."""
    from faust.cli.faust import run_program

    made = Terminal if terminal else io.StringIO
    out, err = made(), made()
    with redirect_stdout(out), redirect_stderr(err):
        status = run_program(list(args), app=app)
    return Ended(status, out.getvalue(), err.getvalue())


def plain(text: str) -> str:
    """Return text without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


class Running:
    """A process whose output is collected while it runs."""

    def __init__(
        self, process: subprocess.Popen[str], terminal: Iterator[str] | None = None
    ) -> None:
        self.process = process
        self._on_terminal = terminal is not None
        self.out: list[str] = []
        self.err: list[str] = []
        self._news = threading.Condition()
        streams = [(terminal, self.out)] if terminal is not None else [
            (process.stdout, self.out), (process.stderr, self.err)
        ]  # fmt: skip
        self._readers = [
            threading.Thread(target=self._read, args=each, daemon=True) for each in streams
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: object, lines: list[str]) -> None:
        for line in stream:  # type: ignore[attr-defined]  # a text file
            with self._news:
                lines.append(line if self._on_terminal else line.rstrip("\n"))
                self._news.notify_all()

    def wait_for(self, pattern: str, *, times: int = 1) -> re.Match[str]:
        """Wait until a line of either output matches."""
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while True:
                found = [m for line in self._lines() if (m := re.search(pattern, line))]
                if len(found) >= times:
                    return found[-1]
                left = deadline - time.monotonic()
                assert left > 0, f"no {pattern!r} in\n{self.told()}"
                assert self.process.poll() is None or self._reading(), self.told()
                self._news.wait(min(left, 0.2))

    def _lines(self) -> list[str]:
        if self._on_terminal:  # what comes from it is cut anywhere
            return plain("".join(self.out)).splitlines()
        return [*self.out, *self.err]

    def _reading(self) -> bool:
        return any(reader.is_alive() for reader in self._readers)

    def told(self) -> str:
        return "\n".join(["-- out", *self.out, "-- err", *self.err])

    @property
    def url(self) -> str:
        return self.wait_for(r"Web server at (http://127\.0\.0\.1:\d+)")[1]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; return the exit status."""
        status = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return status


@contextmanager
def on_terminal(
    tmp_path: Path, *args: str, cwd: Path = ROOT, **env: str
) -> Iterator[tuple[Running, int]]:
    """Start Python on a terminal of its own; gives the terminal's other end, too."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *args],
        cwd=cwd,
        env=environment(tmp_path, **env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    running = Running(process, _lines_of(ours))
    try:
        yield running, ours
    finally:
        if process.poll() is None:
            process.kill()
        running.end()
        os.close(ours)


def _lines_of(descriptor: int) -> Iterator[str]:
    """Give what comes from a terminal, at once and also without newlines."""
    while True:
        try:
            text = os.read(descriptor, 4096)
        except OSError:  # the other end is closed
            return
        if not text:
            return
        yield text.decode(errors="replace")


@contextmanager
def started(tmp_path: Path, *args: str, cwd: Path = ROOT, **env: str) -> Iterator[Running]:
    """Start Python with these arguments; whatever happens, it is gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, *args],
        cwd=cwd,
        env=environment(tmp_path, **env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Running(process)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        running.end()
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()
