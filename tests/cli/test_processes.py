"""`worker --processes`: real workers under a real parent, on one broker."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cli_support import PATIENCE, Running, run, started

from tools.kafka.probe import free_ports

APP = """
import os
import faust

app = faust.App('many', topic_partitions=4, broker_commit_interval=0.1,
                broker_heartbeat_interval=0.2)
counts = app.Table('counts', key_type=str, value_type=int, default=int)

@app.agent(app.topic('many-words', internal=True, key_type=str, value_type=str))
async def count(words):
    async for key, word in words.items():
        counts[key] += 1
        print('COUNTED', key, counts[key])

@app.page('/where/')
async def where(request):
    return {'pid': os.getpid(), 'tables': str(app.conf.tabledir), 'data': str(app.conf.datadir)}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "many.py").write_text(APP)
    return tmp_path


def two(project: Path, *args: str, **env: str) -> Any:
    command = ("-m", "faust", "-A", "many", "worker", "-l", "info", "--processes", "2", *args)
    return started(project, *command, cwd=project, **env)


def places(running: Running) -> list[dict[str, Any]]:
    """Ask each worker who it is."""
    found = re.findall(r"Web server at (http://\S+)", running.told())
    answers = []
    for url in dict.fromkeys(found):
        with urllib.request.urlopen(f"{url}/where/", timeout=PATIENCE) as answer:
            answers.append(json.loads(answer.read()))
    return answers


def free_pair() -> int:
    """Return a port that is free, with the next one."""
    while True:
        port, next_one = free_ports(2)
        if next_one == port + 1:
            return port


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"{pid} is still there"
        time.sleep(0.05)


def test_workers_share_the_work_and_one_that_is_killed_is_started_again(project: Path) -> None:
    port = free_pair()
    with two(project, "-p", str(port)) as running:
        running.wait_for("Worker 0: OK .* Ready after")
        running.wait_for("Worker 1: OK .* Ready after")
        for n in (port, port + 1):
            running.wait_for(f"Web server at http://127.0.0.1:{n}$")
        before = places(running)
        assert len({place["pid"] for place in before}) == 2
        assert {place["data"] for place in before} == {str(project / "data")}
        tables = str(project / "data" / "v1" / "tables")
        assert sorted(place["tables"] for place in before) == [tables, f"{tables}-1"]

        keys = [f"k{n}" for n in range(20)]
        lines = "".join(f"{key}:x\n" for key in keys)
        send = ("-m", "faust", "-A", "many", "send", "@count", "-V", "str", "--key-separator", ":")
        assert run(project, *send, stdin=lines, cwd=project).returncode == 0
        running.wait_for("^COUNTED", times=20)

        os.kill(next(p["pid"] for p in before if p["tables"] != tables), signal.SIGKILL)
        running.wait_for("Worker 1 .* was killed by SIGKILL: started again in 0.5 s")
        running.wait_for("Worker 1: OK .* Ready after", times=2)
        assert run(project, *send, stdin=lines, cwd=project).returncode == 0
        for key in keys:  # exactly once in the table, whoever had been counting
            running.wait_for(f"^COUNTED {key} 2$")

        running.signal(signal.SIGTERM)
        assert running.end() == 0
        assert not any(re.search("^COUNTED .* 3$", line) for line in running.out)
        for place in before:
            wait_until_gone(place["pid"])


def test_signals_reach_all_workers_and_a_second_one_is_faster(project: Path) -> None:
    code = APP + (
        "\n@app.on_before_shutdown.connect\nasync def slowly(app, **kwargs):\n"
        "    import asyncio\n    await asyncio.sleep(1.2)\n    print('SLOWLY')\n"
        "    await asyncio.sleep(60)\n"
    )
    (project / "many.py").write_text(code)
    with two(project, "--without-web") as running:
        running.wait_for("Worker 0: OK")
        running.wait_for("Worker 1: OK")
        running.signal(signal.SIGUSR1)
        running.wait_for("^Task 'faust-worker'", times=2)
        running.signal(signal.SIGINT)
        running.wait_for("^SLOWLY$", times=2)
        running.signal(signal.SIGINT)
        assert running.end() == 1
        assert sum("second signal" in line for line in running.err) == 2


def test_workers_stop_when_their_parent_is_killed(project: Path) -> None:
    with two(project, "--without-web") as running:
        ready = [running.wait_for(r"\[(\d+)\].*Worker ready", times=n)[1] for n in (1, 2)]
        running.process.kill()
        for pid in {*ready}:
            wait_until_gone(int(pid))
        running.end()
        assert sum("the parent process is gone: stopping" in line for line in running.err) == 2
        assert sum(line.endswith("[INFO] Stopped") for line in running.err) == 2


def test_wrong_use_is_not_tried_again(project: Path) -> None:
    for broker, told in (("memory://", "memory:// is inside of one process"),
                         ("nope://", "unknown scheme 'nope'")):  # fmt: skip
        with two(project, FAUST_BROKER_URL=broker) as running:
            assert running.end() == 2
            assert any(told in line for line in running.err)
            assert not any("Traceback" in line for line in running.err), running.told()
            assert any("would not help to start it again" in line for line in running.err)


def test_the_number_must_be_one_at_least(project: Path) -> None:
    ended = run(project, "-m", "faust", "-A", "many", "worker", "--processes", "0", cwd=project)
    assert ended.returncode == 2
    assert "0 processes? At least 1" in ended.stderr


def test_reset_deletes_the_tables_of_all_of_them(project: Path) -> None:
    for name in ("tables", "tables-1", "tables-2"):
        (project / "data" / "v1" / name).mkdir(parents=True)
    done = run(project, "-m", "faust", "-A", "many", "reset", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "Removing database for table counts..." in done.stdout
    assert not list((project / "data" / "v1").glob("tables-*"))
