"""Runs what a document shows: files, Python, and commands with workers beside them.

- A Python block that begins with ``# name.py`` is a file (``# name.py, continued``: more of it).
- Other Python blocks of a page are one program; a ``text`` block right behind one is what it
  prints.
- In a ``console`` block, lines with ``$`` are run and the lines below are their output.  A worker
  runs until the page ends; its web server, port 6066 on the page, has a port of its own.
- A ``text`` block behind a ``console`` block is what the last worker prints, sooner or later.
- ``...`` in an output stands for anything, also for whole lines.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

from docs_blocks import Block, blocks_of

from tools.kafka.probe import free_ports

__all__ = ["Page", "matches", "run"]

ROOT = Path(__file__).parents[2]
DEADLINE = 80.0
#: The port that documents speak of.
PORT = "6066"


def run(*command: str, folder: Path, **env: str) -> str:
    """Run a program in a folder; return what it printed.  Its status must be 0."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", **env},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


class Page:
    """A page of the documentation, being run in a folder."""

    def __init__(self, document: Path, folder: Path) -> None:
        self.blocks = blocks_of(document)
        self.folder = folder
        self.workers: list[tuple[subprocess.Popen[bytes], Path]] = []
        self.port = str(free_ports(1)[0])

    def run(self) -> None:
        """Run all there is to run: files and commands in their order, then the program."""
        try:
            for block in self.blocks:
                if block.file:
                    self._write(block)
                elif block.language == "console":
                    self._run_console(block)
                elif block.language == "text" and _behind(block, "console"):
                    self._await_printed(block.code)
            self._stop_workers()
        finally:
            for process, _out in self.workers:
                process.kill()
                process.wait()
        self._run_script()

    def _write(self, block: Block) -> None:
        path = self.folder / block.file
        assert block.continues == path.exists(), f"{block.place}: begins twice, or never"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(block.code)

    # -- Python ------------------------------------------------------------------------------

    def _run_script(self) -> None:
        """Run the blocks that are no files; compare what they print."""
        script = [b for b in self.blocks if b.language in ("python", "pycon") and not b.file]
        if not script:
            return
        source = self.folder / "page.json"
        source.write_text(json.dumps([[b.language, b.code, b.place] for b in script]))
        program = str(ROOT / "tests" / "docs" / "docs_script.py")
        printed = run(sys.executable, program, str(source), folder=self.folder)
        outputs = {id(b.follows): b for b in self.blocks if b.language == "text"}
        for block, found in zip(script, json.loads(printed.splitlines()[-1]), strict=True):
            told = outputs.get(id(block))
            expected = told.code if told else ""
            assert matches(expected, found), f"{block.place} prints\n{found}not\n{expected}"

    # -- commands ----------------------------------------------------------------------------

    def _run_console(self, block: Block) -> None:
        for part in re.split(r"^\$ ", block.code, flags=re.M)[1:]:
            line, _, expected = part.partition("\n")
            while line.endswith("\\"):
                more, _, expected = expected.partition("\n")
                line = line[:-1] + more.lstrip()
            command = shlex.split(line.replace(PORT, self.port), comments=True)
            if "worker" in command and "--help" not in command:
                self._start_worker(command)
                self._await_printed(expected)
            elif command[0] == "curl":
                self._await(partial(self._check, command, expected, _curl))
            else:
                self._check(command, expected, self._run_command, line)

    def _check(
        self, command: list[str], expected: str, do: Callable[[list[str]], str], line: str = ""
    ) -> None:
        found = do(command).replace(self.port, PORT)
        assert matches(expected, found), f"$ {line or command}\n{found}not\n{expected}"

    def _run_command(self, command: list[str]) -> str:
        return run(*self._program(command), folder=self.folder, COLUMNS="80", NO_COLOR="1")

    @staticmethod
    def _program(command: list[str]) -> list[str]:
        programs = {
            "faust": [sys.executable, "-W", "error", "-m", "faust"],
            "python": [sys.executable, "-W", "error"],
            "pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no"],
        }
        assert command[0] in programs, f"{command}: not to be run here; show it as `sh`"
        return [*programs[command[0]], *command[1:]]

    # -- workers -----------------------------------------------------------------------------

    def _start_worker(self, command: list[str]) -> None:
        path = self.folder / f"worker-{len(self.workers)}.txt"
        env = {"WEB_BIND": "127.0.0.1", "WEB_PORT": self.port, "PYTHONUNBUFFERED": "1"}
        with path.open("wb") as out:
            process = subprocess.Popen(
                self._program(command),
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{self.folder}", **env},
                stdout=out,
                stderr=out,
            )
        self.workers.append((process, path))
        self._await(lambda: _get(f"http://127.0.0.1:{self.port}/ready"))

    def _await(self, check: Callable[[], object]) -> None:
        """Try until it neither raises nor fails."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                check()
                return
            except (AssertionError, OSError) as exc:
                died = [path for process, path in self.workers if process.poll() is not None]
                if died or time.monotonic() > deadline:
                    logs = "\n".join(path.read_text() for _process, path in self.workers)
                    raise AssertionError(f"{exc}\n{logs}") from exc
                time.sleep(0.05)

    def _await_printed(self, expected: str) -> None:
        path = self.workers[-1][1]

        def check() -> None:
            text = path.read_text().replace(self.port, PORT)
            assert re.search(_pattern(f"...\n{expected}...\n"), f"\n{text}\n"), (
                f"{text}\n--- lacks\n{expected}"
            )

        self._await(check)

    def _stop_workers(self) -> None:
        for process, _path in self.workers:
            process.terminate()
        for process, path in self.workers:
            assert process.wait(DEADLINE) == 0, path.read_text()


def _behind(block: Block, language: str) -> bool:
    return block.follows is not None and block.follows.language == language


def _pattern(expected: str) -> str:
    """Return the regular expression for an output: ``...`` stands for anything."""
    pattern = re.escape(expected)
    pattern = re.sub(r"(?<=\n)\\\.\\\.\\\.\\\n|^\\\.\\\.\\\.\\\n", r"(?:.*\\n)*", pattern)
    return pattern.replace(r"\.\.\.", ".*?")


def matches(expected: str, found: str) -> bool:
    """Is an output as it is shown?"""
    return re.fullmatch(_pattern(_trim(expected)), _trim(found)) is not None


def _trim(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def _get(url: str, data: bytes | None = None, method: str | None = None) -> str:
    request = urllib.request.Request(url, data=data, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        return str(response.read().decode())


def _curl(command: list[str]) -> str:
    """Do what curl does, for the little that documents need of it: -i, -s, -X, -d."""
    words, url, data, method, head = iter(command[1:]), "", None, None, False
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-d":
            data = next(words).encode()
        elif word == "-i":
            head = True
        elif not word.startswith("-"):
            url = word.replace("localhost", "127.0.0.1")
    try:
        request = urllib.request.Request(url, data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            status, body = f"{response.status} {response.reason}", response.read().decode()
    except urllib.error.HTTPError as exc:
        status, body = f"{exc.code} {exc.reason}", exc.read().decode()
    return f"HTTP/1.1 {status}\n...\n{body}" if head else str(body)
