"""Settings of agents: what happens on errors, and how replies travel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from faust.settings.kinds import Bool, Duration, Int, Text
from faust.settings.lazy_kinds import DecodePolicyKind, PolicyKind
from faust.settings.params import Section, computed, setting

__all__ = ["AgentSettings", "RPCSettings", "drawn_reply_to"]


class AgentSettings(Section, title="Agents"):
    """What happens when an agent raises, or an event cannot be decoded."""

    agent_error_policy = setting(
        PolicyKind(),
        default="crash",
        env="AGENT_ERROR_POLICY",
        since="2.0",
        text="""What happens when an agent raises an exception. The writes of the event are undone
        in any case. ``crash``: the event is tried again with growing pauses, and when it fails
        still, the worker stops; nothing is lost. ``skip``: it is logged and counted, and the event
        is left out. ``dead_letter``: the event goes to a topic of dead letters, with what went
        wrong, and is left out. ``faust.Retry(n, backoff, then=...)``: it is tried again first, in
        place or by way of a retry topic. ``faust.DeadLetter("topic")``: the topic for dead letters
        by name. An agent may have its own policy.""",
    )
    agent_error_retries = setting(
        Int(0),
        default=5,
        env="AGENT_ERROR_RETRIES",
        since="2.0",
        text="How often an event is tried again before the policy ``crash`` stops the worker.",
    )
    agent_error_backoff = setting(
        Duration(),
        default=0.1,
        env="AGENT_ERROR_BACKOFF",
        since="2.0",
        text="Seconds before an event is first tried again; each further pause is twice as long.",
    )
    agent_error_backoff_max = setting(
        Duration(),
        default=5.0,
        env="AGENT_ERROR_BACKOFF_MAX",
        since="2.0",
        text="The longest pause between two tries, in seconds.",
    )
    decode_error_policy = setting(
        DecodePolicyKind(),
        default="crash",
        env="DECODE_ERROR_POLICY",
        since="2.0",
        text="""What happens to an event whose key or value cannot be decoded: the worker stops
        (``crash``; trying again cannot help), or it is logged, counted and left out (``skip``), or
        its bytes go to a topic of dead letters (``dead_letter``, ``faust.DeadLetter("topic")``). An
        agent may have its own policy.""",
    )


def _reply_to(conf: Any) -> str:
    from faust.utils import uuid

    # Kept, so that the topic stays the same when other settings are assigned.
    return f"{conf.reply_to_prefix}{conf.__dict__.setdefault('_reply_id', uuid())}"


def _reply_timeout(conf: Any) -> timedelta | float:
    expires: timedelta | float = conf.reply_expires
    return expires


def drawn_reply_to(conf: Any) -> str | None:
    """Return the reply topic whose name was drawn for this process; ``None`` if it was given."""
    drawn = conf.__dict__.get("_reply_id")
    name: str = conf.reply_to
    return name if drawn is not None and name == f"{conf.reply_to_prefix}{drawn}" else None


class RPCSettings(Section, title="Agent RPC"):
    """How replies of agents come back to who asked."""

    reply_to = setting(
        Text(),
        default=computed(_reply_to, "{reply_to_prefix}{random id}"),
        text="Name of the topic that replies to this instance go to.",
    )
    reply_to_prefix = setting(
        Text(),
        default="f-reply-",
        env="APP_REPLY_TO_PREFIX",
        text="What generated names of reply topics begin with.",
    )
    reply_create_topic = setting(
        Bool(),
        default=False,
        env="APP_REPLY_CREATE_TOPIC",
        renamed_from=("create_reply_topic",),
        text="Whether the reply topic is made at start rather than by the first ``ask``.",
    )
    reply_expires = setting(
        Duration(above_zero=True),
        default=timedelta(days=1),
        env="APP_REPLY_EXPIRES",
        text="Seconds that replies stay in the reply topic.",
    )
    reply_timeout = setting(
        Duration(above_zero=True),
        default=computed(_reply_timeout, "{reply_expires}"),
        env="APP_REPLY_TIMEOUT",
        since="2.0",
        text="""Seconds that ``ask`` waits for an answer at most, unless a ``timeout`` is given. An
        answer that is older than ``reply_expires`` is gone.""",
    )
