"""What is to happen to events that fail, as users write it and settings hold it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, TypeAlias

from faust._values.topicnames import legal_topic_name
from faust.utils.times import Seconds, want_seconds

__all__ = [
    "DeadLetter",
    "DecodePolicy",
    "Policy",
    "PolicyWord",
    "Retry",
    "as_decode_policy",
    "as_policy",
    "check_policy",
]

#: Policies without parameters.
PolicyWord: TypeAlias = Literal["crash", "skip", "dead_letter"]

_WORDS = ("crash", "skip", "dead_letter")
_NO_RETRY = "what cannot be decoded is not decoded by trying again"


@dataclass(frozen=True)
class DeadLetter:
    """Put an event that fails into a topic of dead letters, and go on with the next one.

    A dead letter has the bytes, the headers and the timestamp of the original, and further headers
    (``faust-dlq-...``) that say what went wrong, and where.

    Arguments:
        topic: Name of the topic; several agents may share one (default: a topic for each agent,
            ``{app id}-{agent}-dead-letters``).

    Raises:
        TypeError: ``topic`` is not a name.
        ValueError: no topic can have this name.
    """

    topic: str | None = None

    def __post_init__(self) -> None:
        if self.topic is not None and (not isinstance(self.topic, str) or not self.topic):
            raise TypeError(f"DeadLetter(topic) takes the name of a topic, not {self.topic!r}")
        _check_name("DeadLetter(topic)", self.topic)


@dataclass(frozen=True)
class Retry:
    """Try an event that fails again, a number of times; then do something else.

    Without ``topic`` it is tried again in place: the events behind it wait, and the order of each
    key is kept.  The pause doubles from ``backoff`` to ``max_backoff``.

    With ``topic`` it goes to a topic of the app's own, is left behind, and comes back from there
    ``backoff`` seconds later (or more): others go on meanwhile, and *the order of its key is not
    kept*.  The topic has as many partitions as the one that the event came from, and the event goes
    to the same partition: it may use the same tables.  Attempts are counted over restarts.

    Arguments:
        retries: Attempts after the first one, at least 1.
        backoff: Seconds before the first of them (default: ``agent_error_backoff``); by way of a
            topic, before each of them (default: 60).
        max_backoff: Longest pause, in place (default: ``agent_error_backoff_max``, or ``backoff``
            where that is longer).
        topic: ``True``, or a name for the topic (default name:
            ``{app id}-{agent}-{topic}-retry``).
        then: What happens when all have failed: ``"crash"``, ``"skip"``, ``"dead_letter"``,
            `DeadLetter`, or, after attempts in place, a `Retry` by way of a topic.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: a value, or a combination, makes no sense.
    """

    retries: int
    backoff: Seconds | None = None
    _: KW_ONLY
    max_backoff: Seconds | None = None
    topic: bool | str = False
    then: Policy = "crash"

    def __post_init__(self) -> None:
        if isinstance(self.retries, bool) or not isinstance(self.retries, int):
            raise TypeError(f"Retry(retries) takes a whole number, not {self.retries!r}")
        if self.retries < 1:
            raise ValueError(f"Retry(retries) must be at least 1, not {self.retries}")
        for name, given in (("backoff", self.backoff), ("max_backoff", self.max_backoff)):
            _check_seconds(f"Retry({name})", given)
        if not isinstance(self.topic, bool | str) or self.topic == "":
            raise TypeError(f"Retry(topic) takes True or a name, not {self.topic!r}")
        if isinstance(self.topic, str):
            _check_name("Retry(topic)", self.topic)
        if self.topic and self.max_backoff is not None:
            raise ValueError("Retry(topic): every pause is 'backoff' long; leave out max_backoff")
        if self.backoff is not None and self.max_backoff is not None:
            self._check_pauses(self.backoff, self.max_backoff)
        check_policy(self.then, "Retry(then)")
        self._check_order()

    @staticmethod
    def _check_pauses(first: Seconds, longest: Seconds) -> None:
        if want_seconds(first) > want_seconds(longest):
            raise ValueError(
                f"Retry(max_backoff) is the longest pause, and backoff the first: {longest!r} is "
                f"less than {first!r}"
            )

    def _check_order(self) -> None:
        after = self.then
        if not isinstance(after, Retry):
            return
        if self.topic:
            raise ValueError(
                "Retry(topic=..., then=Retry(...)): what comes back from a retry topic is tried "
                "in place first; write Retry(n, then=Retry(m, topic=True))"
            )
        if not after.topic:
            raise ValueError("Retry(then=Retry(...)): the second one needs topic=True; or add up")


def _check_name(what: str, name: str | None) -> None:
    if name is not None:
        try:
            legal_topic_name(name)
        except ValueError as exc:
            raise ValueError(f"{what}: {exc}") from None


def _check_seconds(what: str, given: Seconds | None) -> None:
    if given is None:
        return
    try:
        seconds = want_seconds(given)
    except (TypeError, ValueError) as exc:
        raise type(exc)(f"{what} must be 0 or more seconds: {exc}") from None
    if not seconds >= 0:
        raise ValueError(f"{what} must be 0 or more seconds, not {given!r}")


Policy: TypeAlias = PolicyWord | DeadLetter | Retry
#: For what cannot be decoded: trying again cannot help.
DecodePolicy: TypeAlias = PolicyWord | DeadLetter


def as_policy(given: Any) -> Policy:
    """Return a policy that was given, if it is one.

    Raises:
        ValueError: there is no such word; the message is a hint, or empty.
        TypeError: it is nothing of that kind.
    """
    if isinstance(given, str):
        if given not in _WORDS:
            raise ValueError("for several attempts give faust.Retry(n)" * (given == "retry"))
        word: PolicyWord = given  # type: ignore[assignment]  # one of them
        return word
    if not isinstance(given, DeadLetter | Retry):
        raise TypeError
    return given


def as_decode_policy(given: Any) -> DecodePolicy:
    """The same for what cannot be decoded."""
    if given == "retry":
        raise ValueError(_NO_RETRY)
    policy = as_policy(given)
    if isinstance(policy, Retry):
        raise ValueError(_NO_RETRY)
    return policy


def check_policy(given: Any, what: str, *, decoding: bool = False) -> None:
    """Raise with one sentence unless a policy that was given is one.

    Arguments:
        what: Where it was given, for the message.
        decoding: Is it for what cannot be decoded?
    """
    try:
        as_decode_policy(given) if decoding else as_policy(given)
    except (TypeError, ValueError) as exc:
        objects = "faust.DeadLetter(...)" + ("" if decoding else " or faust.Retry(...)")
        hint = f": {exc}" if str(exc) else ""
        message = f"{what} must be one of {', '.join(_WORDS)}, {objects}, not {given!r}{hint}"
        raise type(exc)(message) from None
