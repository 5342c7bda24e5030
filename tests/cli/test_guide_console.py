"""What the application guide shows on the console, with real processes."""

from __future__ import annotations

import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cli_support import run, started

AGENTS = """\
┌Agents────┬───────────────────────────────────────┬────────────────┐
│ name     │ topic                                 │ help           │
├──────────┼───────────────────────────────────────┼────────────────┤
│ @myagent │ stream-example-examples.agent.myagent │ Example agent. │
└──────────┴───────────────────────────────────────┴────────────────┘
"""


def test_agents_prints_the_table_of_the_guide(tmp_path: Path) -> None:
    shown = run(tmp_path, "examples/agent.py", "agents")
    assert (shown.returncode, shown.stdout) == (0, AGENTS)


def test_an_app_has_the_same_topics_however_it_is_started(tmp_path: Path) -> None:
    for where in ("examples.agent", "examples.agent:app", "examples/agent.py"):
        shown = run(tmp_path, "-m", "faust", "-A", where, "agents")
        assert (shown.returncode, shown.stdout) == (0, AGENTS)


def test_a_value_that_is_sent_is_printed_by_the_worker(tmp_path: Path) -> None:
    with started(tmp_path, "examples/agent.py", "worker", "-l", "info") as worker:
        worker.wait_for("Worker ready")
        sent = run(tmp_path, "examples/agent.py", "send", "@myagent", "hello")
        assert sent.returncode == 0, sent.stderr
        assert '"topic":"stream-example-examples.agent.myagent"' in sent.stdout
        worker.wait_for(r"^MYAGENT RECEIVED -- b'hello'$")
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0


def test_a_view_answers_while_the_worker_runs(tmp_path: Path) -> None:
    with started(tmp_path, "examples/view.py", "worker", "-l", "info") as worker:
        worker.wait_for("Worker ready")
        with urllib.request.urlopen(f"{worker.url}/path/to/view/?foo=bar", timeout=10) as answer:
            assert answer.status == 204
        worker.wait_for(r"^FOO PARAM: bar$")
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"{worker.url}/path/to/view/", timeout=10)
        with missing.value as error:
            assert error.code == 400
            assert b"'foo'" in error.read()
        worker.signal(signal.SIGINT)
        assert worker.end() == 0


def test_a_command_of_the_app_runs(tmp_path: Path) -> None:
    shown = run(tmp_path, "examples/command.py", "example")
    assert (shown.returncode, shown.stdout) == (0, "RUNNING EXAMPLE COMMAND\n")
    helped = run(tmp_path, "examples/command.py", "--help")
    assert "This docstring is used as the command help in --help." in helped.stdout


def test_help_of_a_command_is_shown(tmp_path: Path) -> None:
    shown = run(tmp_path, "examples/command.py", "worker", "--help")
    assert shown.returncode == 0
    assert "--web-port" in shown.stdout
    assert "Examples:" in shown.stdout


def test_a_service_is_started_and_stopped_with_the_worker(tmp_path: Path) -> None:
    with started(tmp_path, "examples/service.py", "worker", "-l", "info") as worker:
        worker.wait_for(r"^MYSERVICE IS STARTING$")
        worker.wait_for(r"^BACKGROUND TASK WAKE UP$")
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0
        assert "MYSERVICE IS STOPPING" in worker.out
