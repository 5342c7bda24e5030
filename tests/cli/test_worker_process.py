"""A worker's process: signals, crashes, exit status, what it shows while it is blocked."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cli_support import run, started

APP = """
import asyncio
import time
import faust

app = faust.App('proj', broker='memory://', blocking_timeout=1.0, topic_partitions=1,
                agent_error_retries=1, agent_error_backoff=0.05, broker_commit_interval=0.2)
counts = app.Table('counts', key_type=str, value_type=int, default=int, help='How many')

@app.agent(app.topic('jobs', internal=True, value_type=str))
async def work(stream):
    async for job in stream:
        counts[job] += 1
        print('WORKS ON', job)
        if job == 'block':
            time.sleep(30)
        elif job == 'wait':
            await asyncio.sleep(30)
        elif job == 'raise':
            raise ValueError('bad job')
        print('DONE', job)

@app.page('/send/{job}/')
async def send(request, job):
    await work.send(job)
    return {'sent': job}

@app.on_before_shutdown.connect
async def before(app, **kwargs):
    print('BEFORE SHUTDOWN')
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "proj.py").write_text(APP)
    return tmp_path


def worker(project: Path, *args: str, code: str = "", **env: str) -> Any:
    if code:
        (project / "proj.py").write_text(code)
    memory = {"FAUST_BROKER_URL": "memory://", **env}
    args = ("-m", "faust", "-A", "proj", "worker", "-l", "info", *args)
    return started(project, *args, cwd=project, **memory)


def get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_sigterm_lets_the_event_in_progress_end(project: Path) -> None:
    code = APP.replace("await asyncio.sleep(30)", "await asyncio.sleep(1)")
    with worker(project, code=code) as running:
        running.wait_for("Worker ready")
        assert get(f"{running.url}/send/wait/") == (200, {"sent": "wait"})
        running.wait_for("WORKS ON wait")
        running.signal(signal.SIGTERM)
        assert running.end() == 0
        assert running.out.index("BEFORE SHUTDOWN") < running.out.index("DONE wait")


@pytest.mark.parametrize("job", ["wait", "block"])
def test_a_second_signal_ends_it_at_once(project: Path, job: str) -> None:
    with worker(project) as running:
        running.wait_for("Worker ready")
        get(f"{running.url}/send/{job}/")
        running.wait_for(f"WORKS ON {job}")
        running.signal(signal.SIGTERM)
        if job == "wait":
            running.wait_for("SIGTERM: stopping")
        else:
            running.wait_for("has been blocked for")
        running.signal(signal.SIGINT)
        assert running.end() == 1
        assert any("second signal" in line for line in running.err)


def test_an_agent_that_keeps_failing_ends_it_with_one_sentence(project: Path) -> None:
    with worker(project) as running:
        running.wait_for("Worker ready")
        get(f"{running.url}/send/raise/")
        assert running.end() == 1
    last = running.err[-1]
    assert last.startswith("faust: app 'proj': agent proj.work failed 2 times at topic 'jobs'")
    assert "ValueError: bad job" in last
    assert any("Traceback" in line for line in running.err)


def test_a_task_that_fails_ends_it(project: Path) -> None:
    code = APP + "\n@app.task\nasync def broken():\n    raise KeyError('gone')\n"
    with worker(project, code=code) as running:
        assert running.end() == 1
    assert running.err[-1] == "faust: app 'proj': KeyError: 'gone'"
    assert sum("Traceback" in line for line in running.err) == 1


def test_a_service_that_fails_ends_it(project: Path) -> None:
    code = APP + (
        "\nfrom mode import Service\n@app.service\nclass Bad(Service):\n"
        "    @Service.task\n    async def run(self):\n        raise RuntimeError('service broke')\n"
    )
    with worker(project, code=code) as running:
        assert running.end() == 1
    assert running.err[-1] == "faust: app 'proj': RuntimeError: service broke"


def test_a_blocked_loop_is_reported_and_health_is_answered_meanwhile(project: Path) -> None:
    with worker(project) as running:
        running.wait_for("Worker ready")
        url = running.url
        assert get(f"{url}/ready") == (200, {"status": "ready"})
        get(f"{url}/send/block/")
        running.wait_for(
            r"has been blocked for \d+ s by agent proj.work at topic jobs partition 0 offset 0"
        )
        running.wait_for(r"time\.sleep\(30\)")
        assert get(f"{url}/health") == (200, {"status": "ok"})
        status, body = get(f"{url}/ready")
        assert status == 503
        assert "the event loop has been blocked" in body["reason"]
        assert get(f"{url}/table/counts/")[1]["partitions"] == [0]


def test_tables_are_read_over_http(project: Path) -> None:
    with worker(project) as running:
        running.wait_for("Worker ready")
        url = running.url
        get(f"{url}/send/abc/")
        running.wait_for("DONE abc")
        get(f"{url}/send/xyz/")
        running.wait_for("DONE xyz")
        assert get(f"{url}/table/")[1] == [
            {"name": "counts", "help": "How many", "url": "/table/counts/"}
        ]
        assert get(f"{url}/table/counts/abc/") == (200, 1)
        assert get(f"{url}/table/counts/none/")[0] == 404
        assert get(f"{url}/table/nope/")[0] == 404
        assert get(f"{url}/")[1]["status"] == "OK"


def test_an_event_in_progress_for_too_long_makes_it_not_ready_but_alive(project: Path) -> None:
    with worker(project, FAUST_BROKER_COMMIT_LIVELOCK_SOFT_TIMEOUT="1") as running:
        running.wait_for("Worker ready")
        url = running.url
        get(f"{url}/send/wait/")
        place = "topic jobs partition 0 offset 0"
        running.wait_for(rf"agent proj.work has been inside the event at {place} for \d+ s")
        status, body = get(f"{url}/ready")
        assert status == 503
        assert "has been inside the event" in body["reason"]
        assert get(f"{url}/health") == (200, {"status": "ok"})


def test_health_and_ready_answer_while_the_broker_is_away(project: Path) -> None:
    url = "kafka://127.0.0.1:9"
    code = APP.replace("broker='memory://', ", "")
    with worker(project, code=code, FAUST_BROKER_URL=url) as running:
        running.wait_for("Waiting for a broker")
        assert get(f"{running.url}/health") == (200, {"status": "ok"})
        assert get(f"{running.url}/ready")[0] == 503
        running.signal(signal.SIGTERM)
        assert running.end() == 0


def test_the_banner_says_who_and_where(project: Path) -> None:
    with worker(project, "--web-port", "0") as running:
        running.wait_for("Worker ready")
        shown = "\n".join(running.out)
        for text in ("ƒaµS†", "proj", "memory://", "work", "counts", "-stderr- (info)"):
            assert text in shown


def test_log_handlers_of_the_app_are_the_only_ones(project: Path) -> None:
    code = APP.replace("broker='memory://',", "broker='memory://', loghandlers=[handler],").replace(
        "app = faust", "import logging\nhandler = logging.FileHandler('own.log')\napp = faust"
    )
    with worker(project, code=code) as running:
        while not (project / "own.log").exists():
            running.wait_for("ƒaµS†")
        running.wait_for("│ datadir")
        while "Worker ready" not in (project / "own.log").read_text():
            assert running.process.poll() is None
        running.signal(signal.SIGTERM)
        assert running.end() == 0
        assert running.err == []


def test_a_worker_class_of_the_app_is_used(project: Path) -> None:
    code = APP.replace("app = faust.App('proj',", "app = faust.App('proj', Worker='proj.Mine',") + (
        "\nclass Mine(faust.Worker):\n"
        "    async def on_startup_finished(self):\n        print('MINE IS UP')\n"
    )
    with worker(project, code=code) as running:
        running.wait_for("^MINE IS UP$")


def test_uvloop_runs_a_worker(project: Path) -> None:
    pytest.importorskip("uvloop")
    args = ("-m", "faust", "-A", "proj", "-L", "uvloop", "worker", "-l", "info")
    with started(project, *args, cwd=project, FAUST_BROKER_URL="memory://") as running:
        running.wait_for("Worker ready")
        running.signal(signal.SIGTERM)
        assert running.end() == 0


def test_lines_of_standard_input_are_sent(tmp_path: Path) -> None:
    lines = "".join(f"{n}:value {n}\n" for n in range(1000))
    sent = run(tmp_path, "-m", "faust", "-A", "examples.agent", "send", "@myagent",
               "--key-separator", ":", stdin=lines)  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout.startswith("Sent 1,000 messages to stream-example-examples.agent.myagent")
    shown = run(tmp_path, "-m", "faust", "-A", "examples.agent", "--json", "topics")
    assert json.loads(shown.stdout) == [
        {
            "topic": "stream-example-examples.agent.myagent",
            "partitions": 8,
            "end offsets": 1000,
            "group": "-",
            "lag": "-",
        }
    ]
