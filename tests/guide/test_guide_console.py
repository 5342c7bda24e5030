"""What the guide shows on the console: real processes, on the embedded broker and on Kafka.

Each program is the guide's own text, written to ``examples/`` below a folder of the test.
"""

from __future__ import annotations

import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from guide_snippets import ROOT, SNIPPETS, shows

from tests.cli.cli_support import Running, on_terminal, run, started

AGENT, VIEW, COMMAND, SERVICE = (
    "app.agent()/1",
    "app.page()/1",
    "app.command()/1",
    "app.service()/1",
)


class Console:
    """A person's terminal, in the folder above ``examples/``.

    Arguments:
        folder: Where that is.
        broker: URL of the broker.
    """

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        self.broker = broker
        (folder / "examples").mkdir()

    def write(self, snippet: str) -> None:
        """Write a program where its first line says that it is."""
        code = SNIPPETS[snippet].code
        name = code.splitlines()[0].removeprefix("# ")
        assert name.startswith("examples/")
        (self.folder / name).write_text(code + "\n", encoding="utf-8")

    def command(self, snippet: str) -> list[str]:
        """Return the arguments of Python in a console snippet's first line."""
        program, *args = SNIPPETS[snippet].code.splitlines()[0].removeprefix("$ ").split()
        assert program == "python"
        return args

    def shown(self, snippet: str) -> str:
        """Return what the guide prints below the command."""
        return "".join(f"{line}\n" for line in SNIPPETS[snippet].code.splitlines()[1:])

    def run(self, snippet: str, *more: str) -> subprocess.CompletedProcess[str]:
        args = [*self.command(snippet), *more]
        return run(self.folder, *args, cwd=self.folder, FAUST_BROKER_URL=self.broker)

    @contextmanager
    def started(self, snippet: str) -> Iterator[Running]:
        args = self.command(snippet)
        with started(self.folder, *args, cwd=self.folder, FAUST_BROKER_URL=self.broker) as process:
            yield process


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def console(request: pytest.FixtureRequest, tmp_path: Path) -> Console:
    """A console, once on the embedded broker and once on a real Kafka."""
    if request.param == "kafka":
        return Console(tmp_path, request.getfixturevalue("kafka").url)
    return Console(tmp_path, f"sqlite:///{tmp_path}/broker.db")


@pytest.fixture
def alone(tmp_path: Path) -> Console:
    """A console for commands that need no broker."""
    return Console(tmp_path, f"sqlite:///{tmp_path}/broker.db")


def ended(process: Running, number: signal.Signals = signal.SIGTERM) -> None:
    process.signal(number)
    assert process.end() == 0, process.told()


@pytest.mark.parametrize("name", ["agent", "view", "command", "service"])
def test_the_examples_of_this_repository_are_the_ones_of_the_guide(name: str) -> None:
    snippet = {"agent": AGENT, "view": VIEW, "command": COMMAND, "service": SERVICE}[name]
    text = (ROOT / "examples" / f"{name}.py").read_text("utf-8")
    assert text.strip() == SNIPPETS[snippet].code.strip()


@shows("app.agent()/1", "app.agent()/2")
def test_the_table_of_agents_is_the_one_of_the_guide(alone: Console) -> None:
    """The box is printed character for character, in a pipe and on a terminal, however started."""
    alone.write(AGENT)
    printed = alone.run("app.agent()/2")
    assert (printed.returncode, printed.stdout) == (0, alone.shown("app.agent()/2"))
    for where in ("examples.agent", "examples.agent:app", "examples/agent.py"):
        args = ["-m", "faust", "-A", where, "agents"]
        assert run(alone.folder, *args, cwd=alone.folder).stdout == printed.stdout
    with on_terminal(
        alone.folder, *alone.command("app.agent()/2"), cwd=alone.folder, NO_COLOR="1", TERM="dumb"
    ) as (process, _):
        assert process.end() == 0
    on_screen = "".join(process.out).replace("\r", "").replace("\n", "")
    assert on_screen == printed.stdout.replace("\n", "")


@shows("app.agent()/3", "app.agent()/4", "app.agent()/5")
def test_what_is_sent_to_an_agent_is_printed_by_its_worker(console: Console) -> None:
    """``send @myagent hello`` makes the worker print ``MYAGENT RECEIVED -- b'hello'``."""
    console.write(AGENT)
    with console.started("app.agent()/3") as worker:
        worker.wait_for("Worker ready")
        sent = console.run("app.agent()/4")
        assert sent.returncode == 0, sent.stderr
        assert '"topic":"stream-example-examples.agent.myagent"' in sent.stdout
        expected = SNIPPETS["app.agent()/5"].code
        worker.wait_for(f"^{expected}$")
        ended(worker)
    assert worker.out.count(expected) == 1


@shows("app.page()/1", "app.page()/2", "app.page()/3")
def test_a_view_answers_while_the_worker_runs(console: Console) -> None:
    """The page prints its parameter and answers 204; without it, 400 with the parameter's name."""
    console.write(VIEW)
    path = SNIPPETS["app.page()/3"].code.partition("localhost:6066")[2]
    with console.started("app.page()/2") as worker:
        worker.wait_for("Worker ready")
        with urllib.request.urlopen(f"{worker.url}{path}?foo=bar", timeout=60) as answer:
            assert answer.status == 204
        worker.wait_for(r"^FOO PARAM: bar$")
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"{worker.url}{path}", timeout=60)
        with missing.value as error:
            assert error.code == 400
            assert b"'foo'" in error.read()
        ended(worker, signal.SIGINT)


@shows("app.main()/1", "app.main()/2", "app.main()/3")
def test_a_script_extends_the_program(alone: Console) -> None:
    """Without arguments the commands are listed; ``worker --help`` explains its options."""
    alone.write("app.main()/1")
    listed = alone.run("app.main()/2")
    told = listed.stdout + listed.stderr
    for command in ("agents", "send", "worker"):
        assert f"  {command} " in told
    helped = alone.run("app.main()/3")
    assert helped.returncode == 0
    assert "--web-port" in helped.stdout
    assert "--loglevel" in helped.stdout


@shows("app.command()/1", "app.command()/2")
def test_a_command_of_the_app_runs(alone: Console) -> None:
    """It prints what the guide shows, and its docstring is its help."""
    alone.write(COMMAND)
    ran = alone.run("app.command()/2")
    assert (ran.returncode, ran.stdout) == (0, alone.shown("app.command()/2"))
    listed = run(alone.folder, "examples/command.py", "--help", cwd=alone.folder)
    assert "This docstring is used as the command help in --help." in listed.stdout


@shows("app.service()/1", "app.service()/2")
def test_a_service_lives_as_long_as_the_worker(console: Console) -> None:
    """It prints that it starts, that it works, and, at the worker's end, that it stops."""
    console.write(SERVICE)
    with console.started("app.service()/2") as worker:
        worker.wait_for(r"^MYSERVICE IS STARTING$")
        worker.wait_for(r"^BACKGROUND TASK WAKE UP$", times=2)
        ended(worker)
    assert worker.out[-1] == "MYSERVICE IS STOPPING"
