"""``faust dlq``: look at dead letters, send them back to where they were, delete them."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from faust._forwarded import SOURCE_HEADER
from faust._values import TP, Headers
from faust.agents.deadletters import PREFIX, REDRIVEN
from faust.agents.durable import raw_schema
from faust.agents.models import CORRELATION_HEADER, REPLY_HEADER
from faust.cli.base import AppCommand
from faust.cli.letters import Choice, Letter, Letters, text_of, topics_of
from faust.cli.params import argument, option
from faust.cli.state import UsageError
from faust.exceptions import MetadataTooLarge

__all__ = ["dlq"]

#: So many are sent before it is noted that they were: as many may be sent twice by an interruption.
CHUNK = 200
#: More than this is worth a progress bar.
LONG = 1_000
#: Options that only some actions take: their option, and those actions.
SOME_TAKE = {
    "target": ("--to", ("redrive",)),
    "again": ("--again", ("redrive",)),
    "redriven": ("--redriven", ("purge",)),
    "dry_run": ("--dry-run", ("redrive", "purge")),
    "yes": ("--yes", ("redrive", "purge")),
}


class dlq(AppCommand):
    """Look at dead letters (list, show), send them back (redrive), or delete them (purge).

    Without --topic it is about the topics that the app's policies name. Options choose among the
    letters; all that are given must hold.

    redrive sends each letter to the topic and partition where its event was, with the original key,
    value, headers and timestamp; a header counts how often. What was sent back is remembered, and
    not sent again (unless --again is given), also after an interruption, which repeats 200 at most.

    purge deletes from the beginning of each partition up to the first letter that is not chosen,
    or, with --redriven, was not sent back: a log can be cut at its beginning only.
    """

    abstract = False
    examples = """
    Examples:
      faust -A myproj.app dlq list                             how many, of whom, why
      faust -A myproj.app dlq show --agent pay --limit 3       three of them, whole
      faust -A myproj.app dlq redrive --error KeyError --dry-run
      faust -A myproj.app dlq redrive --error KeyError --yes
      faust -A myproj.app dlq purge --redriven --yes           what was sent back
    """
    options: ClassVar[Any] = [
        argument("action", type=str),
        option("--topic", "topics", multiple=True, help="A topic of dead letters; repeatable."),
        option("--agent", help="Only letters of this agent."),
        option("--error", help="Only this type of exception, with or without its module."),
        option("--key", help="Only letters with this key, as text."),
        option("--partition", type=int, help="Only this partition of the dead letters."),
        option("--offset", type=int, help="Only the letter at this offset of its partition."),
        option("--limit", type=int, help="At most so many."),
        option("--to", "target", help="redrive: to this topic instead of the original one."),
        option("--again", is_flag=True, help="redrive: those that were sent back before, too."),
        option("--redriven", is_flag=True, help="purge: only what was sent back."),
        option("--dry-run", is_flag=True, help="redrive, purge: only say what would be done."),
        option("--yes", is_flag=True, help="redrive, purge: do not ask."),
    ]

    async def run(
        self, *, action: str, topics: tuple[str, ...] = (), limit: int | None = None, **given: Any
    ) -> None:
        """Do one of the four."""
        actions = {
            "list": self._list, "show": self._show, "redrive": self._redrive, "purge": self._purge,
        }  # fmt: skip
        if action not in actions:
            raise UsageError(f"dlq {action!r}: it is one of {', '.join(actions)}")
        for name, (label, takers) in SOME_TAKE.items():
            if given.get(name) and action not in takers:
                raise UsageError(f"dlq {action} does not take {label}: it is for {_and(takers)}")
        if limit is not None and limit < 1:
            raise UsageError(f"--limit must be at least 1, not {limit}")
        names = ("agent", "error", "key", "partition", "offset")
        self.choice = Choice(**{name: given.get(name) for name in names})
        self.limit = limit
        self.given = given
        self.app.prepare_directories()
        await self.app.connect()
        letters = await self._on_io(self._open, topics)
        if not letters.bounds:
            self.say(self.dumps([]) if self.json else "There are no topics of dead letters.")
            return
        await actions[action](letters)

    async def _on_io(self, fun: Any, *args: Any) -> Any:
        return await self.app.connection.bridge.call_io(fun, *args)

    async def _open(self, topics: tuple[str, ...]) -> Letters:
        transport = self.app.connection.transport
        known = await transport.topics(None)
        missing = [name for name in topics if name not in known]
        if missing:
            raise UsageError(f"there is no topic {missing[0]!r}")
        self.own = topics_of(self.app, known)
        letters = Letters(transport, topics or self.own, f"{self.app.conf.id}-redrive")
        await letters.look()
        return letters

    async def _chosen(self, letters: Letters, *, waiting: bool = False) -> list[Letter]:
        """Return the letters that the command is about, in order (on the I/O loop)."""
        found: list[Letter] = []
        for tp in letters.bounds:
            async for letter in letters.of(tp):
                if not self.choice.takes(letter) or (waiting and letters.is_done(letter)):
                    continue
                found.append(letter)
                if self.limit is not None and len(found) == self.limit:
                    return found
        self._check_agent(len(found))
        return found

    def _check_agent(self, found: int) -> None:
        """An agent that has no letters, and is none of the app's, is misspelled."""
        name, known = self.choice.agent, self.app.agents
        if not found and name is not None and name not in known:
            raise UsageError(
                f"there is no dead letter of an agent {name!r}, and no such agent: the app has "
                f"{', '.join(sorted(known)) or 'none'}"
            )

    # -- looking ---------------------------------------------------------------------------------

    async def _list(self, letters: Letters) -> None:
        groups: dict[tuple[str, str, str], list[Letter]] = defaultdict(list)
        for letter in await self._on_io(self._chosen, letters):
            about = letter.about
            groups[letter.tp.topic, about.get("agent", "-"), about.get("error", "-")].append(letter)
        rows = []
        for place, own in sorted(groups.items()):
            times = sorted(letter.when for letter in own)
            redriven = sum(letters.is_done(letter) for letter in own)
            rows.append([*place, len(own), redriven, times[0], times[-1]])
        if self.choice == Choice():
            empty = sorted({tp.topic for tp in letters.bounds} - {row[0] for row in rows})
            rows.extend([topic, "-", "-", 0, 0, "-", "-"] for topic in empty)
        headers = ["topic", "agent", "error", "letters", "redriven", "oldest", "newest"]
        self.say(self.tabulate(rows, headers=headers, title="Dead letters"))

    async def _show(self, letters: Letters) -> None:
        shown = [
            self._as_dict(letter, redriven=letters.is_done(letter))
            for letter in await self._on_io(self._chosen, letters)
        ]
        if self.json:
            self.say(self.dumps(shown))
            return
        for each in shown:
            headers = each.pop("headers")
            traceback = each.pop("traceback")
            self.say(f"{each.pop('topic')}-{each.pop('partition')}@{each.pop('offset')}")
            for name, value in {**each, **{f"header {k}": v for k, v in headers}}.items():
                self.say(f"  {name}: {value if isinstance(value, str) else self.dumps(value)}")
            for line in (traceback or "").splitlines():
                self.say(f"  | {line}")
        self.say(_many(len(shown)))

    @staticmethod
    def _as_dict(letter: Letter, *, redriven: bool) -> dict[str, Any]:
        about, record = letter.about, letter.record
        names = ("agent", "kind", "error", "message", "attempts")
        return {
            "topic": letter.tp.topic,
            "partition": letter.tp.partition,
            "offset": record.offset,
            "origin": f"{about.get('topic', '?')}-{about.get('partition', '?')}"
            f"@{about.get('offset', '?')}",
            **{name: about.get(name) for name in names},
            "time": letter.when,
            "redriven": redriven,
            "timestamp": record.timestamp / 1000,
            "key": text_of(record.key),
            "value": text_of(record.value),
            "headers": [(k, text_of(v)) for k, v in record.headers if not k.startswith(PREFIX)],
            "traceback": about.get("traceback"),
        }

    # -- sending back ------------------------------------------------------------------------------

    async def _redrive(self, letters: Letters) -> None:
        chosen = await self._on_io(
            lambda: self._chosen(letters, waiting=not self.given.get("again"))
        )
        places: dict[str, int] = defaultdict(int)
        for letter in chosen:
            places[self._target_of(letter)] += 1
        await self._on_io(self._check_targets, letters, sorted(places))
        what = ", ".join(f"{count} to {topic}" for topic, count in sorted(places.items()))
        if not self._is_to_be_done(f"send back {what or 'nothing'}", "redriven", len(chosen)):
            return
        sent = 0
        with self._progress("Sending back", len(chosen)) as advance:
            for start in range(0, len(chosen), CHUNK):
                chunk = chosen[start : start + CHUNK]
                for delivery in [await self._send_back(letter) for letter in chunk]:
                    await delivery
                await self._on_io(self._note, letters, chunk)
                sent += len(chunk)
                advance(len(chunk))
        self._report("redriven", sent, f"{_many(sent, verb=True)} sent back")

    @staticmethod
    async def _check_targets(letters: Letters, names: list[str]) -> None:
        """A topic that is not there is not made: its name may be misspelled."""
        known = await letters.transport.topics(names)
        for name in names:
            if name not in known:
                raise UsageError(
                    f"there is no topic {name!r} to send dead letters back to: create it, or name "
                    f"another with --to"
                )

    def _target_of(self, letter: Letter) -> str:
        target: str | None = self.given.get("target")
        if target:
            return target
        if letter.origin is None:
            raise UsageError(
                f"{letter.tp.topic}-{letter.tp.partition}@{letter.record.offset} does not say "
                f"where it was; say where it is to go with --to"
            )
        return letter.origin.topic

    async def _send_back(self, letter: Letter) -> Any:
        record, name = letter.record, self._target_of(letter)
        topic = self.app.topic(name, schema=raw_schema())
        target = self.app.outbox.target(name)
        if not target.partitions:
            await self.app.outbox.prepare(target)
        origin = letter.origin
        there = origin is not None and origin.topic == name and origin.partition < target.partitions
        return await topic.send(
            key=record.key,
            value=record.value,
            partition=origin.partition if there and origin is not None else None,
            timestamp=record.timestamp / 1000,
            headers=_sent_back(letter),
        )

    async def _note(self, letters: Letters, chunk: list[Letter]) -> None:
        """Remember that these were sent back (on the I/O loop)."""
        changed: dict[TP, list[int]] = defaultdict(list)
        for letter in chunk:
            changed[letter.tp].append(letter.record.offset)
        for tp, offsets in changed.items():
            done = letters.done[tp]
            for offset in offsets:
                done.add(offset)
            done.settle(await letters.offsets(tp))
        try:
            commits = {tp: letters.done[tp].as_commit() for tp in changed}
        except MetadataTooLarge:
            raise UsageError(
                "so many letters between those that were sent back were not that it cannot be "
                "remembered: send back without options, or purge first"
            ) from None
        await letters.transport.commit_offsets(letters.group, commits)

    # -- deleting ----------------------------------------------------------------------------------

    async def _purge(self, letters: Letters) -> None:
        before, count = await self._on_io(self._deletable, letters)
        if not self._is_to_be_done(f"delete {_many(count)}", "purged", count):
            return
        if before:
            await self._on_io(letters.transport.delete_records, before)
        self._report("purged", count, f"{_many(count, verb=True)} deleted")

    async def _deletable(self, letters: Letters) -> tuple[dict[TP, int], int]:
        """Return up to where each partition can be deleted, and how many letters that are."""
        before: dict[TP, int] = {}
        count = 0
        for tp in letters.bounds:
            async for letter in letters.of(tp):
                if not letter.is_one and tp.topic not in self.own:
                    raise UsageError(
                        f"{tp.topic}-{tp.partition}@{letter.record.offset} is no dead letter "
                        f"(it does not say whose it is), so nothing of {tp.topic!r} is deleted"
                    )
                redriven = not self.given.get("redriven") or letters.is_done(letter)
                if not (redriven and self.choice.takes(letter)) or count == self.limit:
                    break
                before[tp] = letter.record.offset + 1
                count += 1
        self._check_agent(count)
        return before, count

    # -- asking and saying -------------------------------------------------------------------------

    def _is_to_be_done(self, what: str, done: str, count: int) -> bool:
        if self.given.get("dry_run"):
            self._report(f"would_be_{done}", count, f"This would {what}.")
            return False
        if not count:
            self._report(done, 0, "There is nothing to do.")
            return False
        if self.given.get("yes"):
            return True
        if not sys.stdin.isatty():
            raise UsageError(f"this would {what}: give --yes to do it, or --dry-run to look only")
        import click

        if not click.confirm(f"This will {what}. Go on?", err=True):
            raise SystemExit(1)
        return True

    def _report(self, name: str, count: int, sentence: str) -> None:
        self.say(self.dumps({name: count}) if self.json else sentence)

    @contextmanager
    def _progress(self, what: str, total: int) -> Iterator[Any]:
        """Show how far it is, on a terminal, where it takes long."""
        if self.quiet or total < LONG or not self.stderr.isatty():
            yield lambda count: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(file=self.stderr), transient=True) as progress:
            bar = progress.add_task(what, total=total)
            yield lambda count: progress.advance(bar, count)


def _sent_back(letter: Letter) -> Headers:
    """Return the headers of the original, and how often it was sent back.

    Nobody waits for an answer to it any more, and what was forwarded is not to be taken for what
    was handled already.
    """
    ours = (SOURCE_HEADER, REPLY_HEADER, CORRELATION_HEADER)
    kept = [
        (name, value)
        for name, value in letter.record.headers
        if not name.startswith(PREFIX) and name not in ours
    ]
    times = int(letter.about.get("redriven") or 0) + 1
    return [*kept, (REDRIVEN, str(times).encode())]


def _and(words: Iterable[str]) -> str:
    return " and ".join(words)


def _many(count: int, *, verb: bool = False) -> str:
    if count == 1:
        return "1 dead letter" + " was" * verb
    return f"{count} dead letters" + " were" * verb
