"""What an agent does with events that fail: its policies, resolved, and carried out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from faust._machines.failures import Fate, Plan, plan_for
from faust._machines.retry import RetryPolicy
from faust._values import TP
from faust._values.policies import DeadLetter, DecodePolicy, Policy, check_policy
from faust.agents.aside import visit_of
from faust.agents.deadletters import DeadLetters
from faust.agents.retries import RetryTopics
from faust.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._machines.effects import Cursor
    from faust.streams import Stream
    from faust.topics import Topic

__all__ = ["Policies", "leave_out_undecodable"]

logger = logging.getLogger(__name__)


class Policies:
    """The part of `faust.Agent` that knows what to do with events that fail.

    Attributes:
        skipped: Events left out.
        retried: How often an event was tried again, in place or by way of a retry topic.
        dead_lettered: Events that went to a topic of dead letters.
    """

    app: AppContext
    name: str
    isolated_partitions: bool

    def _init_policies(
        self, error_policy: Policy | None, decode_error_policy: DecodePolicy | None
    ) -> None:
        what = f"agent {self.name!r}: "
        if error_policy is not None:
            check_policy(error_policy, f"{what}error_policy")
        if decode_error_policy is not None:
            check_policy(decode_error_policy, f"{what}decode_error_policy", decoding=True)
        self._given_policy = error_policy
        self._given_decode_policy = decode_error_policy
        self.skipped = self.retried = self.dead_lettered = 0
        self.letters = DeadLetters(self.app, self.name)
        self.retries = RetryTopics(self.app, self.name)

    @property
    def reads_topic(self) -> bool:
        """Does it read the log (or a channel in memory)?"""
        raise RuntimeError("an agent knows what it reads")

    # -- which ----------------------------------------------------------------------------

    @property
    def error_policy(self) -> Policy:
        """What happens to an event for which it raises."""
        given = self._given_policy
        policy: Policy = self.app.conf.agent_error_policy if given is None else given
        return policy

    @property
    def decode_error_policy(self) -> DecodePolicy:
        """What happens to an event that cannot be decoded."""
        given = self._given_decode_policy
        policy: DecodePolicy = self.app.conf.decode_error_policy if given is None else given
        return policy

    @property
    def retry_policy(self) -> RetryPolicy:
        """How often, and when, an event is tried again where the policy is ``crash``."""
        conf = self.app.conf
        return RetryPolicy(
            retries=conf.agent_error_retries,
            first_delay=conf.agent_error_backoff,
            max_delay=conf.agent_error_backoff_max,
        )

    @property
    def plan(self) -> Plan:
        """The policy, resolved.  What is in no topic can only be skipped, or tried in place."""
        plan = plan_for(self.error_policy, self.retry_policy)
        if self.reads_topic or (plan.detour is None and plan.fate is not Fate.DEAD_LETTER):
            return plan
        return plan_for("crash", self.retry_policy)

    def declare_topics(self, streams: list[Stream[Any]]) -> None:
        """Its streams are open: note the topics that its policies need, and read what comes back.

        Raises:
            ImproperlyConfigured: a policy does not go with what the agent reads.
        """
        own = plan_for(self._given_policy or "crash", self.retry_policy)
        if not self.reads_topic:
            if own.detour is not None or own.fate is Fate.DEAD_LETTER:
                raise ImproperlyConfigured(
                    f"agent {self.name!r} reads a channel in memory: what fails there has no bytes "
                    f"to put into a topic. Use error_policy='skip', 'crash' or faust.Retry(n)"
                )
            return
        plan = self.plan
        if plan.fate is Fate.DEAD_LETTER:
            self._declare(self.letters.topic(plan.letters), streams)
        if (letter := _as_letter(self.decode_error_policy)) is not None:
            self._declare(self.letters.topic(letter.topic), streams)
        if plan.detour is not None:
            if self.isolated_partitions:
                raise ImproperlyConfigured(
                    f"agent {self.name!r}: a retry topic does not go with isolated_partitions, "
                    f"because what comes back from it must not be handled beside its partition"
                )
            for stream in streams:
                self.retries.read_with(stream, plan.detour)

    def _declare(self, topic: Topic[Any], streams: list[Stream[Any]]) -> None:
        name = topic.get_topic_name()
        if any(stream.channel.matches(name) for stream in streams):
            raise ImproperlyConfigured(
                f"agent {self.name!r} reads topic {name!r}, and would put its dead letters there: "
                f"they would fail again for ever"
            )
        topic.declare_soon()

    # -- carried out -----------------------------------------------------------------------

    async def put_aside(self, stream: Stream[Any], plan: Plan, failures: int) -> float:
        """Put the event in progress into the retry topic; return seconds until it comes back."""
        assert plan.detour is not None
        with stream.speaking():
            return await self.retries.put(stream.cursor, stream.record, plan.detour, failures)

    async def bury(
        self, stream: Stream[Any], plan: Plan, exc: Exception, failures: int
    ) -> Topic[Any]:
        """Put the event in progress among the dead letters; return the topic."""
        cursor, record = stream.cursor, stream.record
        assert cursor is not None
        visit = visit_of(record.headers, cursor.tp, record.offset)
        topic = self.letters.topic(plan.letters)
        with stream.speaking():
            await self.letters.put(
                topic,
                record,
                visit.origin,
                visit.headers,
                exc,
                kind="agent",
                attempts=visit.attempts + failures,
            )
        self.dead_lettered += 1
        return topic

    def count_skipped(self, stream: Stream[Any]) -> None:
        """An event was left out by its error policy."""
        self.skipped += 1
        self.app.sensors.on_event_skipped(self.name, _tp(stream))

    def count_retried(self, stream: Stream[Any]) -> None:
        """An event is to be tried again."""
        self.retried += 1
        self.app.sensors.on_event_retried(self.name, _tp(stream))


def _tp(stream: Stream[Any]) -> TP | None:
    return None if stream.cursor is None else stream.cursor.tp


def _as_letter(policy: DecodePolicy) -> DeadLetter | None:
    if isinstance(policy, DeadLetter):
        return policy
    return DeadLetter() if policy == "dead_letter" else None


async def leave_out_undecodable(
    app: AppContext,
    stream: Stream[Any],
    cursor: Cursor,
    record: Any,
    error: Exception,
    letters_of: Callable[[str], DeadLetters],
) -> bool:
    """A record cannot be decoded: do what the policy of its reader says; is it left out?

    Arguments:
        letters_of: Gives the dead letters of a reader that is no agent.

    Raises:
        AgentFailed: it should go to a topic that does not take it.
    """
    agent, reader = stream.agent, cursor.reader
    policy: DecodePolicy = (
        app.conf.decode_error_policy if agent is None else agent.decode_error_policy
    )
    if policy == "crash":
        return False
    visit = visit_of(record.headers, cursor.tp, record.offset)
    tp, offset = visit.origin
    where = (reader, tp.topic, tp.partition, offset, record.key)
    letter = _as_letter(policy)
    if letter is None:
        logger.error(
            "Agent %s: topic %r partition %d offset %d key %r cannot be decoded; it is left out "
            "(decode_error_policy='skip'): %s",
            *where, error,
        )  # fmt: skip
        if agent is not None:
            agent.skipped += 1
        app.sensors.on_event_skipped(reader, cursor.tp)
        return True
    letters = letters_of(reader) if agent is None else agent.letters
    topic = letters.topic(letter.topic)
    attempts = visit.attempts + 1
    await letters.put(
        topic, record, visit.origin, visit.headers, error, kind="decode", attempts=attempts
    )
    if agent is not None:
        agent.dead_lettered += 1
    logger.error(
        "Agent %s: topic %r partition %d offset %d key %r cannot be decoded; it is among the dead "
        "letters in topic %s: %s",
        *where, topic, error,
    )  # fmt: skip
    return True
