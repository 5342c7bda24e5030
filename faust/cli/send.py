"""``faust send``: send a value, or every line of standard input, to a topic or an agent."""

from __future__ import annotations

import asyncio
import os
import random
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from faust.cli.base import AppCommand
from faust.cli.completing import complete_entity
from faust.cli.params import argument, option

__all__ = ["send"]

#: For so many repetitions every message is told of on a terminal, too; for more in sum.
FEW = 20
#: Deliveries that may be outstanding while lines are sent.
OUTSTANDING = 5_000


_REPEAT = "Send as often as this."
_AT_LEAST = "Wait between, at least (seconds)."
_AT_MOST = "Wait between, at most (seconds); no less than at least."


def _at_least(least: float) -> Callable[[Any, Any, Any], Any]:
    """Return what refuses smaller numbers."""

    def check(ctx: Any, param: Any, value: Any) -> Any:
        if value < least:
            import click

            raise click.BadParameter(f"{value} is too small: {least} at least")
        return value

    return check


class send(AppCommand):
    """Send a value to a topic or an agent.

    ENTITY is the name of a topic, or @name of an agent. The value is sent as it is given. Without
    it, every line of standard input is sent.
    """

    abstract = False
    examples = """
    Examples:
      faust -A app send @myagent hello
      faust -A app send orders '{"id": 3}' --key 3
      faust -A app send orders < orders.jsonl
      faust -A app send orders --key-separator : < pairs.txt
    """
    options = [
        option("-k", "--key", help="The key."),
        option("-K", "--key-type", help="Type of the key: a model, str, int, float, bytes."),
        option("--key-serializer", help="Codec for the key."),
        option("-V", "--value-type", help="Type of the value: a model, str, int, float, bytes."),
        option("--value-serializer", help="Codec for the value."),
        option("--partition", type=int, help="Send to this partition."),
        option("-r", "--repeat", type=int, default=1, callback=_at_least(1), help=_REPEAT),
        option("--min-latency", type=float, default=0.0, callback=_at_least(0), help=_AT_LEAST),
        option("--max-latency", type=float, default=0.0, callback=_at_least(0), help=_AT_MOST),
        option("--key-separator", help="Lines are key, this text, and value."),
        argument("entity", shell_complete=complete_entity),
        argument("value", required=False),
    ]

    async def run(
        self,
        entity: str,
        value: str | None = None,
        *args: Any,
        key: str | None = None,
        key_type: str | None = None,
        key_serializer: str | None = None,
        value_type: str | None = None,
        value_serializer: str | None = None,
        partition: int | None = None,
        timestamp: float | None = None,
        repeat: int = 1,
        min_latency: float = 0.0,
        max_latency: float = 0.0,
        key_separator: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Send, and print what the broker says of each message (of lines: how many)."""
        max_latency = max(min_latency, max_latency)
        self.key_serializer = key_serializer or self.key_serializer
        self.value_serializer = value_serializer or self.value_serializer
        self.key_codec = key_serializer or (None if key_type else "raw")
        self.value_codec = value_serializer or (None if value_type else "raw")
        self.key_type, self.value_type = key_type, value_type
        topic = await self._target(entity)
        if value == "-" or (value is None and not sys.stdin.isatty()):
            await self._send_lines(topic, key, partition, key_separator)
            return
        raw_value = self._value(value)
        raw_key = self._key(key)
        self.carp(f"k={raw_key!r} v={raw_value!r} -> {topic}")
        summary = self.stdout.isatty() and repeat > FEW
        began = time.perf_counter()
        async with _Deliveries(None if summary else self._say_sent) as deliveries:
            with _counted(repeat, self.stderr, shown=not self.quiet and repeat > FEW) as numbers:
                for n in numbers:
                    if n and max_latency:
                        await deliveries.settle()
                        await asyncio.sleep(random.uniform(min_latency, max_latency))
                    await deliveries.add(
                        await self._send(topic, raw_key, raw_value, partition, timestamp)
                    )
        if summary:
            self._say_summary(topic, repeat, began)

    def _say_sent(self, sent: Any) -> None:
        self.say(self.dumps(sent._asdict()))

    def _say_summary(self, topic: Any, count: int, began: float) -> None:
        seconds = time.perf_counter() - began
        rate = count / seconds if seconds else 0.0
        self.say(f"Sent {count:,} messages to {topic} in {seconds:.1f} s ({rate:,.0f} a second)")

    async def _target(self, entity: str) -> Any:
        """Return the topic to send to: plain, so that bytes stay as they are."""
        self.app.prepare_directories()
        found = self.to_topic(entity)
        channel = getattr(found, "channel", found)
        if channel is not found and not found.reads_topic:
            raise self.UsageError(f"agent @{found.name} reads a channel in memory of its worker")
        name = channel.get_topic_name()
        if channel.internal:
            await self.app.create_topic(channel)
        return self.app.topic(name)

    def _key(self, key: str | None) -> Any:
        return None if key is None else self.to_key(self.key_type, key)

    def _value(self, value: str | None) -> Any:
        if value is not None:
            return self.to_value(self.value_type, value)
        return b"null" if self.value_codec == "raw" else None

    async def _send(
        self, topic: Any, key: Any, value: Any, partition: int | None, timestamp: float | None
    ) -> Any:
        try:
            return await topic.send(
                value,
                key=key,
                partition=partition,
                timestamp=timestamp,
                key_serializer=self.key_codec,
                value_serializer=self.value_codec,
            )
        except ValueError as exc:
            raise self.UsageError(str(exc)) from exc

    # -- lines -------------------------------------------------------------------------------------

    async def _send_lines(
        self, topic: Any, key: str | None, partition: int | None, separator: str | None
    ) -> None:
        raw_key = self._key(key)
        began, count = time.perf_counter(), 0
        async with _Deliveries() as deliveries:
            with _progress(sys.stdin, self.stderr, shown=not self.quiet) as lines:
                for line in lines:
                    text = line.rstrip("\r\n")
                    if separator is not None:
                        head, found, text = text.partition(separator)
                        if not found:
                            raise self.UsageError(
                                f"line {count + 1} has no {separator!r}: {head!r}"
                            )
                        raw_key = self._key(head)
                    await deliveries.add(
                        await self._send(topic, raw_key, self._value(text), partition, None)
                    )
                    count += 1
        self._say_summary(topic, count, began)


class _Deliveries:
    """What was sent and is not confirmed yet: a limited number, told of in order.

    Arguments:
        told: Called with the metadata of each message that is confirmed.
    """

    def __init__(self, told: Callable[[Any], None] | None = None) -> None:
        self._told = told
        self._sent: list[Any] = []

    async def __aenter__(self) -> _Deliveries:
        return self

    async def __aexit__(self, *details: object) -> None:
        await self.settle()

    async def add(self, sent: Any) -> None:
        """One more was sent."""
        self._sent.append(sent)
        if len(self._sent) >= OUTSTANDING:
            await self.settle()

    async def settle(self) -> None:
        """Wait until all are confirmed."""
        for each in self._sent:
            metadata = await each
            if self._told is not None:
                self._told(metadata)
        self._sent.clear()


@contextmanager
def _counted(count: int, stderr: TextIO, *, shown: bool) -> Iterator[Iterable[int]]:
    """Count, and show on a terminal how far."""
    if not (shown and stderr.isatty()):
        yield range(count)
        return
    from rich.console import Console
    from rich.progress import track

    yield track(range(count), "Sending", console=Console(file=stderr), transient=True)


@contextmanager
def _progress(source: TextIO, stderr: TextIO, *, shown: bool) -> Iterator[Iterable[str]]:
    """Show on a terminal how far reading has come: by bytes for a file, else by lines."""
    if not (shown and stderr.isatty()):
        yield source
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    total = _size(source)
    columns = [TextColumn("{task.fields[lines]:>12,} lines"), BarColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=Console(file=stderr), transient=True) as progress:
        task = progress.add_task("", total=total, lines=0)

        def lines() -> Iterator[str]:
            done = 0
            for n, line in enumerate(source, 1):
                done += len(line)
                if n % 1_000 == 0:
                    progress.update(task, completed=done, lines=n)
                yield line

        yield lines()


def _size(source: TextIO) -> int | None:
    try:
        info = os.fstat(source.fileno())
    except (OSError, ValueError):
        return None
    return info.st_size if stat.S_ISREG(info.st_mode) else None
