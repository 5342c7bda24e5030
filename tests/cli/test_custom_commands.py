"""Commands of the app's own: every form, what they may do, and how they end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import click
import pytest
from cli_support import Ended, invoke, run, started

import faust
from faust.cli import AppCommand, Command, argument, call_command, option

APP = """
import asyncio
import faust
import faust.cli

app = faust.App('own', topic_partitions=1, web_enabled=False)

@app.agent(app.topic('own-double', internal=True))
async def double(numbers):
    async for number in numbers:
        yield number * 2

@app.timer(0.01)
async def timer():
    print('TIMER RAN')

@app.command(faust.cli.argument('number', type=int))
async def ask_for(number):
    print('ANSWER', await double.ask(number))
    print('ANSWERS', sorted(await double.join([1, 2, 3])))

@app.command(daemon=True)
async def serve(self):
    self.say('SERVING')

@app.command()
async def wait(self):
    try:
        self.say('WAITING')
        await asyncio.sleep(60)
    finally:
        self.say('CLEANED UP')
"""


@pytest.fixture
def app() -> faust.App:
    return faust.App("own-commands", broker="memory://", web_enabled=False)


def test_options_and_arguments_are_given_by_name(app: faust.App) -> None:
    @app.command(
        argument("a"),
        argument("more", nargs=-1),
        option("--print/--no-print", default=True),
        option("-n", "--count", type=int, default=3, envvar="OWN_COUNT"),
        option("--level", type=click.Choice(["low", "high"]), default="low", help="How loud."),
    )
    async def send_value(a: str, more: tuple[str], print: bool, count: int, level: str) -> None:
        """Send it.

        At length.
        """
        app.monitor  # noqa: B018  # the app can be used
        sys.stdout.write(f"{a} {more} {print} {count} {level}\n")

    assert invoke("send-value", "x", app=app).out == "x () True 3 low\n"
    ended = invoke("send-value", "x", "y", "z", "--no-print", "-n", "5", "--level=high", app=app)
    assert ended.out == "x ('y', 'z') False 5 high\n"
    shown = invoke("send-value", "--help", app=app).out
    for text in ("Send it.", "At length.", "[default: 3]", "[low|high]", "How loud."):
        assert text in shown
    ended = invoke("send-value", "x", "--count", "many", app=app)
    assert ended.status == 2
    assert "'many' is not a valid integer" in ended.err
    assert invoke("send-value", app=app).err.endswith("Missing argument 'A'.\n")


def test_the_command_itself_comes_first_under_any_name(app: faust.App) -> None:
    """(pitfalls D: agents, `@app.command(argument('a')...) async def send_value(a, b, print)`)"""

    @app.command(option("--debug", is_flag=True))
    async def first(self: AppCommand, debug: bool) -> None:
        self.say(f"{type(self).__name__} {debug} {self.app is app}")

    @app.command(argument("name"))
    def second(_: AppCommand, name: str) -> None:
        _.say(f"{name} {_.app.conf.id} {_.quiet} {_.json} {_.prog_name != ''}")

    @app.command(argument("a"), argument("b"))
    async def third(b: str, a: str) -> None:
        print(a, b)

    @app.command()
    def fourth(named: str = "default") -> None:
        print(named)

    assert invoke("first", "--debug", app=app).out == "first True True\n"
    assert invoke("second", "x", app=app).out == "x own-commands False False True\n"
    assert invoke("third", "1", "2", app=app).out == "1 2\n"
    assert invoke("fourth", app=app).out == "default\n"


def test_a_class_is_a_command_and_may_be_a_base(app: faust.App) -> None:
    class Base(AppCommand):
        greeting = "hello"

        async def on_stop(self) -> None:
            await super().on_stop()
            self.say("stopped")

    @app.command(argument("name"), base=Base, greeting="bye")
    async def named(self: Any, name: str) -> None:
        self.say(f"{self.greeting} {name}")

    @app.command()
    class whole(Command):
        """A class of its own."""

        abstract = False
        options = [option("--times", type=int, default=1)]

        async def run(self, times: int) -> None:  # type: ignore[override]  # as commands are
            self.say("class " * times)

    assert issubclass(named, Base)
    assert invoke("named", "x", app=app).out == "bye x\nstopped\n"
    assert invoke("whole", "--times", "2", app=app).out == "class class \n"
    assert whole.parse(["--times", "4"]) == {"times": 4}


def test_prompts_ask_the_user(app: faust.App, tmp_path: Path) -> None:
    (tmp_path / "asks.py").write_text(
        "import faust, faust.cli\napp = faust.App('asks', broker='memory://')\n"
        "@app.command(faust.cli.option('--name', prompt='Who?'),\n"
        "             faust.cli.option('--yes', is_flag=True, prompt='Sure?'))\n"
        "async def greet(name, yes):\n    print('hello', name, yes)\napp.main()\n"
    )
    done = run(tmp_path, "asks.py", "greet", cwd=tmp_path, stdin="you\ny\n")
    assert done.stdout == "Who?: Sure? [y/N]: hello you True\n"
    refused = run(tmp_path, "asks.py", "greet", cwd=tmp_path, stdin="")
    assert refused.returncode == 130


@pytest.mark.parametrize(
    ("raised", "status", "told"),
    [
        (SystemExit(7), 7, ""),
        (SystemExit(None), 0, ""),
        (SystemExit("a sentence"), 1, "a sentence\n"),
        (MemoryError(), 71, "Out of memory\n"),
        (KeyboardInterrupt(), 130, ""),
        (faust.cli.AppCommand.UsageError("not so"), 2, "not so\n"),
        (click.UsageError("neither so"), 2, "neither so\n"),
    ],
)
def test_how_it_ends_says_the_status(
    app: faust.App, raised: BaseException, status: int, told: str
) -> None:
    @app.command()
    def ends() -> None:
        raise raised

    ended = invoke("ends", app=app)
    assert ended.status == status
    assert ended.err.removeprefix(f"{os.path.basename(sys.argv[0])}: ").endswith(told)
    assert "Traceback" not in ended.err
    assert len(ended.err.splitlines()) <= 1


def test_an_error_is_shown_once_with_its_traceback(app: faust.App) -> None:
    @app.command()
    async def breaks() -> None:
        raise ValueError("my bug")

    ended = invoke("breaks", app=app)
    assert ended.status == 1
    assert ended.err.count("Traceback") == 1
    assert ended.err.endswith("ValueError: my bug\n")


def test_the_returned_value_does_not_matter(app: faust.App) -> None:
    @app.command()
    async def returns() -> int:
        return 3

    assert invoke("returns", app=app) == Ended(0, "", "")


def test_what_is_printed_goes_to_the_log_where_that_is_asked_for(app: faust.App) -> None:
    @app.command(redirect_stdouts=True)
    async def redirected(self: AppCommand) -> None:
        print("printed")
        self.say("said")

    @app.command(redirect_stdouts=True, redirect_stdouts_level="DEBUG")
    async def below(self: AppCommand) -> None:
        print("printed")

    assert invoke("redirected", app=app) == Ended(0, "said\n", "WARNING: printed\n")
    assert invoke("below", app=app) == Ended(0, "", "")
    print("and back again")


def test_say_carp_dumps_and_tables(app: faust.App) -> None:
    @app.command()
    async def shows(self: AppCommand) -> None:
        self.say("out")
        self.say("err", err=True)
        self.carp("only with --debug")
        self.say(self.dumps({"a": [1]}))
        self.say(self.tabulate([["x", 1]], headers=["name", "n"], title="T"))
        self.say(self.tabulate([["name"], ["y"]], title="U"))

    ended = invoke("shows", app=app)
    assert ended.err == "err\n"
    assert ended.out.startswith('out\n{"a":[1]}\n┌T─────┬───┐\n│ name │ n │\n')
    assert "│ y    │" in ended.out
    ended = invoke("--debug", "--json", "shows", app=app)
    assert ended.err == "err\n#-- only with --debug\n"
    assert ended.out.endswith('[{"name":"x","n":1}]\n[["name"],["y"]]\n')
    assert invoke("-q", "shows", app=app) == Ended(0, "", "")


def test_a_command_called_ends_the_process(app: faust.App) -> None:
    @app.command(argument("a"))
    async def called(a: str) -> None:
        print("called", a)

    from faust.cli.state import State

    with pytest.raises(SystemExit) as ended:
        called(state=State(app=app))(a="x")
    assert ended.value.code == 0


def test_commands_are_called_from_other_threads(app: faust.App) -> None:
    @app.command()
    async def here(self: AppCommand) -> None:
        self.say(threading.current_thread().name)

    seen: list[str] = []

    def call() -> None:
        seen.append(call_command("here", app=app)[1].getvalue())

    thread = threading.Thread(target=call, name="another")
    thread.start()
    thread.join()
    assert seen == ["another\n"]


def test_a_running_loop_is_not_needed_nor_disturbed(app: faust.App) -> None:
    @app.command()
    async def inside() -> None:
        await asyncio.sleep(0)

    assert invoke("inside", app=app).status == 0
    assert asyncio.run(asyncio.sleep(0, "still fine")) == "still fine"


def test_ask_works_in_a_command_and_the_process_ends(tmp_path: Path) -> None:
    """(pitfalls C1, C5)"""
    (tmp_path / "own.py").write_text(APP)
    args = ("-m", "faust", "-A", "own")
    with started(tmp_path, *args, "worker", "-l", "info", cwd=tmp_path) as worker:
        worker.wait_for("Worker ready")
        done = run(tmp_path, *args, "ask-for", "21", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "ANSWER 42\nANSWERS [2, 4, 6]\n"), done.stderr
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0
        assert "TIMER RAN" in worker.out


@pytest.mark.parametrize(
    ("command", "number", "status", "told"),
    [
        ("serve", signal.SIGTERM, 0, "SERVING"),
        ("serve", signal.SIGINT, 0, "SERVING"),
        ("wait", signal.SIGTERM, 143, "WAITING"),
        ("wait", signal.SIGINT, 130, "WAITING"),
    ],
)
def test_signals_end_a_command_and_a_daemon_with_status_0(
    tmp_path: Path, command: str, number: signal.Signals, status: int, told: str
) -> None:
    (tmp_path / "own.py").write_text(APP)
    args = ("-u", "-m", "faust", "-A", "own", command)
    with started(tmp_path, *args, cwd=tmp_path) as running:
        running.wait_for(told)
        running.signal(number)
        assert running.end() == status
        assert ("CLEANED UP" in running.out) == (command == "wait")
        assert "".join(running.err) == ""


def test_a_pipe_that_is_closed_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(APP)
    done = subprocess.run(
        f"{sys.executable} -m faust -A own --json settings --all | true",
        shell=True, cwd=tmp_path, text=True, capture_output=True, timeout=90, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(faust.__file__).parents[1])},
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_json_is_one_line(app: faust.App) -> None:
    lines = invoke("--json", "tables", app=app).out.splitlines()
    assert [json.loads(line) for line in lines] == [[]]
