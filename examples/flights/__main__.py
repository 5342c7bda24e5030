"""The demo: a worker, all flights through it, and what it found (``make demo``)."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from examples.flights.app import app
from examples.flights.data import FLIGHTS
from examples.flights.found import show
from examples.flights.send import send
from examples.flights.worker import Worker, WorkerEnded

console = Console(highlight=False)

COMMAND = "faust -A examples.flights.app"
NEXT = """\
[bold]What to type next[/bold] (in this folder; first: [cyan]source .venv/bin/activate[/cyan])

  Watch it: start a worker, look at its pages, and send all flights again from
  a second terminal.
    [cyan]{command} worker --web-bind 127.0.0.1[/cyan]
    [cyan]python -m examples.flights.send[/cyan]
    http://127.0.0.1:6066/ and http://127.0.0.1:6066/flights/counted/

  Kill it: [cyan]kill -9[/cyan] the worker while they come in, and start it again.
  Nothing is lost, and nothing is counted twice.

  Run it on Kafka: the same two commands, with another broker.
    [cyan]export BROKER_URL=kafka://localhost:9092[/cyan]
"""


async def main(limit: int | None) -> int:
    """Run the demo; return the exit status."""
    datadir = start_afresh(Path(app.conf.datadir))
    app.client_only = True
    console.print(f"Starting a worker (its log: {datadir / 'worker.log'})")
    async with Worker(datadir) as worker:
        console.print(f"It serves its pages at {worker.url}/ while it runs\n")
        async with app:
            flown, gone, seconds = await send_and_wait(worker, limit)
        found = await worker.ask("/flights/found/")
        counted = await worker.ask("/flights/counted/")
    show(console, found)
    sent = flown + gone
    console.print(
        f"\n[bold]{sent:,} flights[/bold] sent, read and counted in {seconds:.1f} s: "
        f"[bold]{sent / seconds:,.0f} flights/s[/bold].\n"
        f"The worker (process {worker.pid}, {worker.url}/) has been stopped.\n"
    )
    if counted != {"flown": flown, "cancelled": gone}:
        console.print(
            f"[red]sent were {flown} and {gone} cancelled; the tables say {counted}[/red]"
        )
        return 1
    console.print(NEXT.format(command=COMMAND), soft_wrap=True)
    return 0


async def send_and_wait(worker: Worker, limit: int | None) -> tuple[int, int, float]:
    """Send the flights, and wait until the worker has counted them; both with a progress bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        total = limit or FLIGHTS
        sent = progress.add_task("sent by this process", total=total)
        counted = progress.add_task("counted by the worker", total=total)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(send(limit, lambda n: progress.update(sent, completed=n)))
            tasks.create_task(
                watch(worker, sending, lambda n: progress.update(counted, completed=n))
            )
        return *sending.result(), time.perf_counter() - began


async def watch(
    worker: Worker, sending: asyncio.Task[tuple[int, int]], tell: Callable[[int], None]
) -> None:
    """Ask the worker how many it has counted, until it is all that was sent."""
    count = -1
    while not (sending.done() and count >= sum(sending.result())):
        await asyncio.sleep(0.1)
        worker.check_alive()
        count = sum((await worker.ask("/flights/counted/")).values())
        tell(count)


def start_afresh(datadir: Path) -> Path:
    """Remove what an earlier demo left; return the data directory.

    Raises:
        SystemExit: something still uses it.
    """
    log = datadir / "broker.db"
    if log.exists():
        # Only the last one who has the file open can change its journal mode.
        with sqlite3.connect(log, timeout=0) as connection:
            try:
                connection.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.OperationalError:
                raise SystemExit(f"{log} is in use: stop the worker that runs on it") from None
        connection.close()
    shutil.rmtree(datadir, ignore_errors=True)
    return datadir


if __name__ == "__main__":
    try:
        raise SystemExit(asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else None)))
    except* WorkerEnded as errors:
        raise SystemExit(str(errors.exceptions[0])) from None
