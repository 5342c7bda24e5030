"""Send the flights: ``python -m examples.flights.send [how many]``, while workers run or not.

The app is used as a client here: it connects and sends, and processes nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from rich.progress import Progress

from examples.flights.app import airlines, app, flights
from examples.flights.data import FLIGHTS, all_airlines, all_flights

#: Told every so many flights.
STEP = 2_000


async def send(limit: int | None, tell: Callable[[int], None]) -> tuple[int, int]:
    """Send airlines and flights; return when the broker has all of them.

    Arguments:
        limit: Send so many flights (default: all).
        tell: Called with the number sent so far, every now and then.

    Returns how many had left, and how many were cancelled.
    """
    flown = gone = 0
    for code, name in all_airlines().items():
        await airlines.send(key=code, value=name)
    last = None
    for flight in all_flights(limit):
        # `send` returns at once: records travel in batches.  What it returns can be awaited.
        last = await flights.send(key=flight.carrier, value=flight)
        if flight.delay is None:
            gone += 1
        else:
            flown += 1
        if not (flown + gone) % STEP:
            tell(flown + gone)
            await asyncio.sleep(0)
    if last is not None:
        await last
    tell(flown + gone)
    return flown, gone


async def main(limit: int | None) -> None:
    """Send, with a progress bar."""
    app.client_only = True
    with Progress() as progress:
        bar = progress.add_task("Sending flights", total=limit or FLIGHTS)
        async with app:
            await send(limit, lambda sent: progress.update(bar, completed=sent))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else None))
