"""Print what the tables hold, with bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from examples.flights.data import all_airports

#: Routes with fewer flights than this are left out: one late flight is not a bad route.
ENOUGH = 100
ROUTES_SHOWN = 8
BAR = 32

Rows = Iterable[tuple[str, float]]


def show(console: Console, found: Mapping[str, Any]) -> None:
    """Print four charts of what the page ``/flights/found/`` says."""
    airports = all_airports()
    late = {name: average(delay) for name, delay in found["airlines"].items()}
    console.print(chart("Minutes late, by airline", highest(late)))
    by_hour = {f"{int(hour):02}:00": average(d) for hour, d in found["hours"].items()}
    console.print(chart("Minutes late, by the hour of the day", sorted(by_hour.items())))
    often = {name: d for name, d in found["routes"].items() if d["flights"] >= ENOUGH}
    worst = highest({readable(name, airports): average(d) for name, d in often.items()})
    console.print(chart("Minutes late, the worst routes", worst[:ROUTES_SHOWN]))
    gone = {airports.get(code, code): n for code, n in found["cancelled"].items()}
    console.print(chart("Flights cancelled, by airport", highest(gone), digits=0))


def average(delay: Mapping[str, int]) -> float:
    """Return the minutes a flight was late on average."""
    return delay["minutes"] / delay["flights"]


def readable(route: str, airports: Mapping[str, str]) -> str:
    """Return "UA JFK-LAX" with the destination's name."""
    codes, _, dest = route.partition("-")
    return f"{codes} to {airports.get(dest, dest)}"


def highest(values: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return names and values, the highest first."""
    return sorted(values.items(), key=lambda item: -item[1])


def chart(title: str, rows: Rows, *, digits: int = 1) -> Table:
    """Return a bar for each of the rows."""
    rows = list(rows)
    most = max((value for _, value in rows), default=0)
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, show_header=False
    )
    table.add_column(style="cyan", width=34, no_wrap=True)
    table.add_column(justify="right", width=7)
    table.add_column(style="green")
    for name, value in rows:
        table.add_row(name, f"{value:,.{digits}f}", bar(value, most))
    return table


def bar(value: float, most: float) -> str:
    """Return a bar for a value, ``BAR`` characters for the highest."""
    eighths = round(8 * BAR * max(value, 0) / most) if most > 0 else 0
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
