"""What a worker does on signals, and what it shows on a terminal; real processes."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from cli_support import on_terminal, plain, run, started

from tools.kafka.probe import free_ports

APP = """
import asyncio
import time
import faust

app = faust.App('signals', broker='memory://', topic_partitions=1, web_enabled=False)

@app.task
async def blocks():
    import os, threading
    if os.environ.get('BLOCK'):
        print('BLOCKS', flush=True)
        time.sleep(60)

@app.on_before_shutdown.connect
async def before(app, **kwargs):
    print('STOPPING', flush=True)
"""
ARGS = ("-m", "faust", "-A", "signals", "worker")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "signals.py").write_text(APP)
    return tmp_path


def worker(project: Path, *args: str, **env: str) -> Any:
    return started(project, *ARGS, *args, cwd=project, FAUST_BROKER_URL="memory://", **env)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(project: Path, number: signal.Signals) -> None:
    with worker(project) as running:
        running.wait_for("OK .* Ready after")
        running.signal(number)
        assert running.end() == 0
        assert "STOPPING" in running.out
        assert running.err == (["-INT- " * 5 + "-INT-"] if number == signal.SIGINT else [])


def test_the_same_signal_twice_at_once_is_one(project: Path) -> None:
    """A supervisor sends it to the whole process group, and a parent hands it on."""
    with worker(project) as running:
        running.wait_for("OK .* Ready after")
        running.signal(signal.SIGTERM)
        running.signal(signal.SIGTERM)
        assert running.end() == 0
        assert "STOPPING" in running.out
        assert running.err == []


def test_sigquit_ends_it_at_once(project: Path) -> None:
    """(pitfalls C62)"""
    with worker(project) as running:
        running.wait_for("OK .* Ready after")
        running.signal(signal.SIGQUIT)
        assert running.end() == 1
        assert "STOPPING" not in running.out
        assert "faust: SIGQUIT: ending without a last commit" in running.err


def test_sigusr1_shows_threads_and_tasks_also_of_a_blocked_loop(project: Path) -> None:
    with worker(project, BLOCK="1") as running:
        running.wait_for("^BLOCKS$")
        running.signal(signal.SIGUSR1)
        running.wait_for(r'File ".*signals.py", line \d+, in blocks')
        running.wait_for("^Thread 'MainThread':")
        running.wait_for("^Thread 'faust-attendant':")
        running.wait_for("^Task 'faust-worker'")
        assert running.process.poll() is None


def test_sigusr2_without_a_terminal_says_so_and_goes_on(project: Path) -> None:
    with worker(project, "-l", "info") as running:
        running.wait_for("Worker ready")
        running.signal(signal.SIGUSR2)
        running.wait_for("SIGUSR2: there is no terminal to debug on")
        running.signal(signal.SIGTERM)
        assert running.end() == 0


def test_on_a_terminal_it_spins_is_ready_and_can_be_debugged(project: Path) -> None:
    env = {"FAUST_BROKER_URL": "memory://", "TERM": "xterm"}
    with on_terminal(project, *ARGS, cwd=project, **env) as (running, terminal):
        running.wait_for("Ready after")
        shown = plain("".join(running.out))
        assert "starting➢ " in shown
        assert re.search("😊 Ready after .* s", shown)
        running.signal(signal.SIGUSR2)
        running.wait_for(r"\(Pdb\)")
        os.write(terminal, b"p 6 * 7\n")
        running.wait_for("42")
        os.write(terminal, b"c\n")
        running.signal(signal.SIGTERM)
        assert running.end() == 0
        assert "stopping➢ " in "".join(running.out) or "STOPPING" in "".join(running.out)


def test_at_level_info_nothing_spins(project: Path) -> None:
    env = {"FAUST_BROKER_URL": "memory://", "TERM": "xterm"}
    with on_terminal(project, *ARGS, "-l", "info", cwd=project, **env) as (running, _):
        running.wait_for("Worker ready")
        running.signal(signal.SIGTERM)
        assert running.end() == 0
        assert "starting➢" not in "".join(running.out)


def test_the_process_has_a_title(project: Path) -> None:
    pytest.importorskip("setproctitle")
    with worker(project) as running:
        running.wait_for("OK .* Ready after")
        title = Path(f"/proc/{running.process.pid}/cmdline").read_bytes().rstrip(b"\0").decode()
        assert title == f"[Faust:Worker] signals -p 0 {project}/data"


def test_threads_take_turns_every_millisecond(project: Path) -> None:
    (project / "signals.py").write_text(
        APP + "\n@app.task\nasync def tell():\n    import sys\n    print(sys.getswitchinterval())\n"
    )
    with worker(project) as running:
        running.wait_for("^0.001$")


def test_the_console_needs_aiomonitor_or_says_so(project: Path) -> None:
    (project / "aiomonitor.py").write_text("raise ImportError('no aiomonitor')\n")
    with worker(project, "--console-port", "45111") as running:
        assert running.end() == 2
        assert running.err == [
            "faust: app 'signals': the console needs aiomonitor: pip install aiomonitor, or leave "
            "out --console-port"
        ]
    args = ("-m", "faust", "--debug", "-A", "signals", "worker", "-l", "info")
    with started(project, *args, cwd=project, FAUST_BROKER_URL="memory://") as running:
        running.wait_for("No console: aiomonitor is not installed")
        running.wait_for("Worker ready")


def test_the_console_listens_where_it_is_asked_to(project: Path) -> None:
    pytest.importorskip("aiomonitor")
    (port,) = free_ports(1)
    with worker(project, "-l", "info", "--console-port", str(port)) as running:
        running.wait_for("Worker ready")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as console:
            assert console.recv(100).startswith(b"\xff")  # telnet's first words
        running.signal(signal.SIGTERM)
        assert running.end() == 0


def test_ending_at_once_is_not_kept_up_by_a_write_that_it_interrupts(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom faust._core.attendant import end_process\n"
        "class Busy:\n    def flush(self):\n        raise RuntimeError('reentrant call')\n"
        "sys.stdout = Busy()\ntry:\n    end_process(7)\n"
        "finally:\n    print('went on', file=sys.stderr)\n"
    )
    ended = run(tmp_path, "-c", code)
    assert (ended.returncode, ended.stderr) == (7, "")
