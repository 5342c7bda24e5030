"""`worker --reload`: a real worker that is started again when its source changes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from cli_support import Running, run, started

APP = """
import asyncio
import faust

app = faust.App('again', topic_partitions=1, broker_commit_interval=0.1, web_enabled=False)

@app.agent(app.topic('again-jobs', internal=True, value_type=str))
async def work(jobs):
    async for job in jobs:
        print('BEGINS', job, flush=True)
        await asyncio.sleep(0.5)
        print('VERSION 1 DID', job, flush=True)
"""


def write(file: Path, text: str) -> None:
    """Replace a file at once, as editors do."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def send(project: Path, job: str) -> None:
    done = run(
        project, "-m", "faust", "-A", "again", "send", "@work", "-V", "str", job, cwd=project
    )
    assert done.returncode == 0, done.stderr


def ready(running: Running, times: int) -> None:
    running.wait_for("OK .* Ready after", times=times)


def test_changes_restart_it_in_good_order_and_errors_wait_for_the_next_change(
    tmp_path: Path,
) -> None:
    app = tmp_path / "again.py"
    write(app, APP)
    command = ("-m", "faust", "-A", "again", "worker", "--reload")
    with started(tmp_path, *command, cwd=tmp_path) as running:
        running.wait_for(f"Reloading on changes in {tmp_path}$")
        ready(running, 1)

        # 1. A change while an event is in progress: it is finished first, and not done again.
        send(tmp_path, "a")
        running.wait_for("^BEGINS a$")
        write(app, APP.replace("VERSION 1", "VERSION 2"))
        running.wait_for("^faust: Changed: again.py; starting again$")
        ready(running, 2)
        send(tmp_path, "b")
        running.wait_for("^VERSION 2 DID b$")
        assert [line for line in running.out if "BEGINS" in line] == ["BEGINS a", "BEGINS b"]
        assert "VERSION 1 DID a" in running.out

        # 2. What Python cannot read is shown; the worker goes on.
        write(app, APP + "\ndef broken(:\n")
        running.wait_for(r"^faust: Syntax error in again.py, line \d+: invalid syntax: def broken")
        running.wait_for("The worker goes on as it is: waiting for the next change")
        assert sum("Ready after" in line for line in running.out) == 2

        # 3. What cannot be imported ends; the next change is waited for.
        write(app, APP + "\nundefined_name\n")
        running.wait_for("'undefined_name' is not defined")
        running.wait_for("ended with status 2: waiting for the source to change")
        write(app, APP.replace("VERSION 1", "VERSION 3"))
        ready(running, 3)
        send(tmp_path, "d")
        running.wait_for("^VERSION 3 DID d$")

        running.signal(signal.SIGTERM)
        assert running.end() == 0
        assert not any("Traceback" in line for line in running.err)


def test_it_may_begin_with_an_app_that_is_broken(tmp_path: Path) -> None:
    app = tmp_path / "again.py"
    write(app, "def f(:\n")
    (tmp_path / "elsewhere").mkdir()
    command = ("-m", "faust", "-W", "..", "-A", "again", "worker", "--reload", "--processes", "1")
    with started(tmp_path, *command, cwd=tmp_path / "elsewhere") as running:
        running.wait_for("again.py, line 1")
        running.wait_for("waiting for the source to change")
        write(app, APP)
        ready(running, 1)
        running.signal(signal.SIGINT)
        assert running.end() == 0


def test_a_script_that_calls_main_is_started_again_itself(tmp_path: Path) -> None:
    app = tmp_path / "again.py"
    code = APP + "\nif __name__ == '__main__':\n    app.main()\n"
    write(app, code)
    with started(tmp_path, "again.py", "worker", "--reload", cwd=tmp_path) as running:
        ready(running, 1)
        os.utime(app, (0, 0))
        running.wait_for("Changed: again.py; starting again")
        ready(running, 2)
        running.signal(signal.SIGTERM)
        assert running.end() == 0
