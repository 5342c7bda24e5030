"""The application: how late did they leave, on which routes, and what was cancelled?

Run it as a worker, as many as you like, from the folder above ``examples/``::

    faust -A examples.flights.app worker --web-bind 127.0.0.1

Where it keeps its data is one setting.  This runs the same program on Apache Kafka::

    BROKER_URL=kafka://localhost:9092 faust -A examples.flights.app worker
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import faust
from faust.web import Request, Response, View

NEW_YORK = ZoneInfo("America/New_York")

# `sqlite://` is a log in a file in the data directory (./flights-data): no server is needed.
app = faust.App("flights", broker="sqlite://", topic_partitions=4)


# -- what is sent ----------------------------------------------------------------------------------


class Flight(faust.Record):
    """A flight, and how late it left."""

    carrier: str  #: the airline's code, "UA"
    number: int
    origin: str  #: airport codes, "JFK"
    dest: str
    hour: datetime  #: the hour in which it was to leave
    delay: int | None  #: minutes; below 0: too early; None: it was cancelled

    @property
    def route(self) -> str:
        """Who flies where, such as "UA JFK-LAX"."""
        return f"{self.carrier} {self.origin}-{self.dest}"


# `internal` topics belong to the app: it creates them, with `topic_partitions` partitions.  A key
# is always in the same partition, and a partition is read by one worker at a time.
flights = app.topic("flights", key_type=str, value_type=Flight, internal=True)
airlines = app.topic("airlines", key_type=str, value_type=str, internal=True)


# -- what is kept ----------------------------------------------------------------------------------


class Delay(faust.Record):
    """Some flights, and by how many minutes they were late together."""

    flights: int = 0
    minutes: int = 0

    def __add__(self, other: Delay) -> Delay:
        return Delay(self.flights + other.flights, self.minutes + other.minutes)


# For every airline one value per hour.  The hour is the flight's own, not that of its sending.
delays = (
    app.Table("delays", key_type=str, value_type=Delay, default=Delay, help="Delays by the hour")
    .tumbling(3600)
    .relative_to_field(Flight.hour)
)
routes = app.Table(
    "routes", key_type=str, value_type=Delay, default=Delay, help="Delays by airline and route"
)
cancelled = app.Table(
    "cancelled", key_type=str, value_type=int, default=int, help="Cancelled flights by airport"
)
# A global table is there in full on every worker.
names = app.GlobalTable("names", key_type=str, value_type=str, help="The airlines' names")


# -- what is done ----------------------------------------------------------------------------------


@app.agent(airlines)
async def keep_names(stream: faust.Stream[str]) -> None:
    """Note the airlines' names."""
    async for code, name in stream.items():
        names[code] = name


@app.agent(flights)
async def keep_delays(stream: faust.Stream[Flight]) -> None:
    """Add up delays: by airline and hour, and by route."""
    async for flight in stream:
        if flight.delay is not None:
            # Both tables are changed by this flight, or, if anything fails, neither is.
            delay = Delay(1, flight.delay)
            delays[flight.carrier] += delay
            routes[flight.route] += delay


@app.agent(flights)
async def count_cancelled(stream: faust.Stream[Flight]) -> None:
    """Count cancelled flights by airport."""
    # Flights are keyed by airline, so those of an airport are in all partitions.  `group_by` sends
    # them on with another key: all of one airport meet in one place, and are counted there.
    gone = stream.filter(lambda flight: flight.delay is None)
    async for flight in gone.group_by(Flight.origin):
        cancelled[flight.origin] += 1


# -- what is shown ---------------------------------------------------------------------------------
# Every worker has a web server.  A page reads the tables, like anything in the app.


@app.page("/flights/counted/")
async def counted(self: View, request: Request) -> Response:
    """Tell how many flights are in the tables."""
    return self.json(
        {
            "flown": sum(delay.flights for delay in routes.values()),
            "cancelled": sum(cancelled.values()),
        }
    )


@app.page("/flights/found/")
async def found(self: View, request: Request) -> Response:
    """Tell all that was found, added up."""
    by_airline: dict[str, Delay] = defaultdict(Delay)
    by_hour: dict[int, Delay] = defaultdict(Delay)
    for code, (start, _end), delay in delays.windows():
        by_airline[names.get(code, code)] += delay
        by_hour[datetime.fromtimestamp(start, NEW_YORK).hour] += delay
    return self.json(
        {
            "airlines": by_airline,
            "hours": dict(sorted(by_hour.items())),
            "routes": routes.as_dict(),
            "cancelled": cancelled.as_dict(),
        }
    )


@app.page("/flights/hours/{carrier}/")
async def hours(self: View, request: Request, carrier: str) -> Response:
    """Tell the delays of one airline, hour by hour."""
    told: list[dict[str, Any]] = [
        {"hour": datetime.fromtimestamp(start, NEW_YORK), "delay": delay}
        for (start, _end), delay in sorted(delays[carrier].items())
    ]
    return self.json({"airline": names.get(carrier, carrier), "hours": told})


if __name__ == "__main__":
    app.main()
