"""Tables on a terminal: coloured, wrapped to its width, and otherwise the same."""

from __future__ import annotations

import io

import pytest
from cli_support import Terminal, invoke, plain

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
