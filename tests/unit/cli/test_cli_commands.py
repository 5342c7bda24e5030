"""Commands of an app: every form of function, options, output, exit status."""

from __future__ import annotations

import json
from typing import Any

import pytest

import faust
from faust.cli import AppCommand, argument, call_command, option


@pytest.fixture
def app() -> faust.App:
    return faust.App("commands", broker="memory://", web_enabled=False)


def run(app: faust.App, *args: str) -> tuple[Any, str, str]:
    status, out, err = call_command(args[0], list(args[1:]), app=app)
    return status, out.getvalue(), err.getvalue()


def test_functions_of_every_form_are_commands(app: faust.App) -> None:
    @app.command()
    async def plain() -> None:
        print("plain")

    @app.command()
    def not_async() -> None:
        print("not async")

    @app.command()
    async def with_self(self: AppCommand) -> None:
        self.say(f"self of {self.app.conf.id}")

    @app.command(argument("name"), option("--times", type=int, default=2, help="How often."))
    async def greet(name: str, times: int) -> None:
        print(f"hello {name} " * times)

    @app.command(argument("name"))
    async def both(self: AppCommand, name: str) -> None:
        print(name, type(self).__name__)

    assert run(app, "plain") == (0, "plain\n", "")
    assert run(app, "not-async") == (0, "not async\n", "")
    assert run(app, "with-self") == (0, "self of commands\n", "")
    assert run(app, "greet", "you", "--times", "1") == (0, "hello you \n", "")
    assert run(app, "both", "x") == (0, "x both\n", "")
    status, out, _ = run(app, "greet", "--help")
    assert status == 0
    assert "How often." in out
    assert "[default: 2]" in out


def test_exit_statuses_say_what_happened(app: faust.App) -> None:
    @app.command()
    async def leaves() -> None:
        raise SystemExit(7)

    @app.command()
    async def breaks() -> None:
        raise ValueError("my bug")

    @app.command()
    async def refuses(self: AppCommand) -> None:
        raise self.UsageError("not like that")

    assert run(app, "leaves")[0] == 7
    status, _, err = run(app, "breaks")
    assert status == 1
    assert "Traceback" in err
    status, _, err = run(app, "refuses")
    assert status == 2
    assert err.strip().endswith("not like that")
    assert run(app, "greet")[0] == 2


def test_tables_are_listed_as_a_box_and_as_json(app: faust.App) -> None:
    app.Table("counts", help="How many")
    assert run(app, "tables")[1] == (
        "┌Tables──┬──────────┐\n"
        "│ name   │ help     │\n"
        "├────────┼──────────┤\n"
        "│ counts │ How many │\n"
        "└────────┴──────────┘\n"
    )
    status, out, _ = run_json(app, "tables")
    assert (status, json.loads(out)) == (0, [{"name": "counts", "help": "How many"}])


def run_json(app: faust.App, *args: str) -> tuple[Any, str, str]:
    from contextlib import redirect_stdout
    from io import StringIO

    from faust.cli.faust import run_program

    out = StringIO()
    with redirect_stdout(out):
        status = run_program(["--json", *args], app=app)
    return status, out.getvalue(), ""


class Shown(faust.Record, namespace="test_cli.Shown"):
    """A model."""

    id: int
    name: str = "none"


def test_models_and_their_fields_are_shown(app: faust.App) -> None:
    listed = json.loads(run_json(app, "models")[1])
    assert {"name": "test_cli.Shown", "help": "A model."} in listed
    status, out, _ = run(app, "model", "test_cli.Shown")
    assert status == 0
    assert "│ id    │ int  │ *       │" in out
    assert "│ name  │ str  │ 'none'  │" in out


def test_settings_say_where_they_came_from(app: faust.App) -> None:
    rows = json.loads(run_json(app, "settings")[1])
    by_name = {row["setting"]: row for row in rows}
    assert by_name["broker"]["value"] == "memory://"
    assert by_name["broker"]["source"] == "keyword"


def test_a_message_is_sent_as_it_is_given(app: faust.App) -> None:
    status, out, err = run(app, "send", "things", "hello", "--key", "k")
    assert status == 0, err
    assert json.loads(out)["topic"] == "things"


def test_on_worker_init_is_sent_once_for_a_command(app: faust.App) -> None:
    seen: list[Any] = []

    @app.on_worker_init
    def init(app: Any, **kwargs: Any) -> None:
        seen.append(app)

    run(app, "tables")
    assert seen == [app]
