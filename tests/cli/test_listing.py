"""Tables on a terminal: coloured, wrapped to its width, and otherwise the same."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from cli_support import Terminal, invoke, on_terminal, plain, run

import faust
from faust.cli.listing import listing

ROWS = [["@a", "topic-a", "Short."], ["@b", "topic-b", "A help text that is quite long, as it is."]]
HEADERS = ["name", "topic", "help"]


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_in_a_pipe_nothing_is_wrapped_or_coloured() -> None:
    shown = listing(ROWS, HEADERS, "Agents", io.StringIO())
    assert shown == (
        "┌Agents┬─────────┬───────────────────────────────────────────┐\n"
        "│ name │ topic   │ help                                      │\n"
        "├──────┼─────────┼───────────────────────────────────────────┤\n"
        "│ @a   │ topic-a │ Short.                                    │\n"
        "│ @b   │ topic-b │ A help text that is quite long, as it is. │\n"
        "└──────┴─────────┴───────────────────────────────────────────┘"
    )


def test_on_a_terminal_long_help_is_wrapped_to_the_width() -> None:
    """(pitfalls B18)"""
    shown = plain(listing(ROWS, HEADERS, "Agents", Terminal()))
    assert shown == (
        "┌Agents┬─────────┬───────────────────────────┐\n"
        "│ name │ topic   │ help                      │\n"
        "├──────┼─────────┼───────────────────────────┤\n"
        "│ @a   │ topic-a │ Short.                    │\n"
        "│ @b   │ topic-b │ A help text that is quite │\n"
        "│      │         │ long, as it is.           │\n"
        "└──────┴─────────┴───────────────────────────┘"
    )
    unwrapped = plain(listing(ROWS, HEADERS, "Agents", Terminal(), wrap=False))
    assert unwrapped == listing(ROWS, HEADERS, "Agents", io.StringIO())


def test_on_a_terminal_it_is_the_same_table_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = listing(ROWS[:1], HEADERS, "Agents", Terminal())
    assert "\x1b[1;36mAgents\x1b[0m" in coloured
    assert plain(coloured) == listing(ROWS[:1], HEADERS, "Agents", io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in listing(ROWS[:1], HEADERS, "Agents", Terminal())


def test_a_table_without_rows_has_its_headers() -> None:
    assert "│ name │ topic │ help │" in listing([], HEADERS, "Agents", io.StringIO())
    assert "Agents" in listing([], HEADERS, "Agents", Terminal())


def test_agents_are_listed_in_colour_on_a_terminal_with_channels_only_on_demand() -> None:
    app = faust.App("listing", web_enabled=False, origin="test_listing")

    @app.agent(name="test_listing.one")
    async def one(stream: faust.Stream[str]) -> None:
        """First line.

        Second.
        """

    @app.agent(app.channel(), name="test_listing.two")
    async def two(stream: faust.Stream[str]) -> None: ...

    @app.agent(app.topic("b", "a"), name="test_listing.several")
    async def several(stream: faust.Stream[str]) -> None: ...

    @app.agent(app.topic(pattern="x.*"), name="test_listing.pattern")
    async def pattern(stream: faust.Stream[str]) -> None: ...

    shown = plain(invoke("agents", "--local", app=app, terminal=True).out)
    assert "│ @one     │ listing-test_listing.one │ First line. │" in shown
    assert "│ @two     │ <LOCAL>" in shown
    assert "@two" not in invoke("agents", app=app).out
    assert "@two" not in invoke("agents", "--no-local", app=app).out


def test_agents_that_read_several_topics_or_a_pattern_are_listed() -> None:
    """(pitfalls C61)"""
    app = faust.App("listing-several", web_enabled=False, origin="test_listing")

    @app.agent(app.topic("b", "a"), name="test_listing.several")
    async def several(stream: faust.Stream[str]) -> None: ...

    @app.agent(app.topic(pattern="x.*"), name="test_listing.pattern")
    async def pattern(stream: faust.Stream[str]) -> None: ...

    shown = invoke("agents", app=app)
    assert shown.status == 0, shown.err
    for text in ("@several", "b", "a", "@pattern", "x.*"):
        assert text in shown.out


class Listed(faust.Record, namespace="test_listing.Listed"):
    """A model."""

    id: int
    name: str = "x"


@pytest.mark.parametrize(
    ("command", "row"),
    [
        (["agents"], {"name": "@one", "topic": "json-test_listing.one", "help": "<N/A>"}),
        (["tables"], {"name": "counts", "help": "How many."}),
        (["tables"],
         {"name": "plain", "help": 'Missing description: use Table(.., help="str")'}),
        (["models"], {"name": "Listed", "help": "A model."}),
        (["models", "--builtins"], {"name": "@ReqRepRequest"}),
        (["model", "Listed"], {"field": "id", "type": "int", "default": "*"}),
        (["model", "test_listing.Listed"], {"field": "name", "type": "str", "default": "'x'"}),
    ],
)  # fmt: skip
def test_every_listing_is_one_line_of_json_on_demand(
    command: list[str], row: dict[str, str]
) -> None:
    app = faust.App("json", web_enabled=False, origin="test_listing")
    app.Table("counts", help="How many.")
    app.Table("plain")

    @app.agent(name="test_listing.one")
    async def one(stream: faust.Stream[str]) -> None: ...

    ended = invoke("--json", *command, app=app)
    assert (ended.status, ended.err) == (0, "")
    assert len(ended.out.splitlines()) == 1
    assert any(row.items() <= found.items() for found in json.loads(ended.out))


def test_a_model_that_is_misspelled_is_named(tmp_path: Path) -> None:
    """Also where only its case is wrong."""
    app = faust.App("json", web_enabled=False, origin="test_listing")
    for wrong in ("listed", "Lister", "test_listing.listed"):
        ended = invoke("model", wrong, app=app)
        assert ended.status == 2
        assert f"there is no model {wrong!r}; did you mean 'Listed'?" in ended.err


def test_the_library_has_no_models_but_its_messages() -> None:
    app = faust.App("json", web_enabled=False, origin="test_listing")
    shown = json.loads(invoke("--json", "models", "--builtins", app=app).out)
    theirs = {each["name"] for each in shown} - {
        each["name"] for each in json.loads(invoke("--json", "models", app=app).out)
    }
    assert theirs >= {"@ReqRepRequest", "@ReqRepResponse"}
    assert all(name.startswith("@") for name in theirs)


def test_on_a_real_terminal_it_is_the_table_of_the_guide_in_colour(tmp_path: Path) -> None:
    in_a_pipe = run(tmp_path, "examples/agent.py", "agents").stdout
    with on_terminal(tmp_path, "examples/agent.py", "agents", TERM="xterm", COLUMNS="80") as (
        shown,
        _,
    ):
        assert shown.end() == 0
        text = "".join(shown.out)
    assert "\x1b[1;36mAgents\x1b[0m" in text
    assert plain(text).replace("\r\n", "\n") == in_a_pipe
