"""What an embedded broker accepts as a topic: names, counts, and Kafka's configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from faust.exceptions import InvalidTopic

__all__ = ["DEFAULTS", "TopicPolicy", "check_config", "check_name", "check_partitions"]

#: Kafka's defaults (4.x) of the entries that mean something here, and of some that tools ask for.
DEFAULTS: dict[str, str] = {
    "cleanup.policy": "delete",
    "compression.type": "producer",
    "delete.retention.ms": "86400000",
    "max.compaction.lag.ms": "9223372036854775807",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
    "min.cleanable.dirty.ratio": "0.5",
    "min.compaction.lag.ms": "0",
    "min.insync.replicas": "1",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
    "segment.bytes": "1073741824",
    "segment.ms": "604800000",
}

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}\Z")


def _whole(least: int) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(r"-?\d{1,19}", text) is not None and int(text) >= least


def _one_of(*allowed: str) -> Callable[[str], bool]:
    return lambda text: text in allowed


def _policies(text: str) -> bool:
    return {part.strip() for part in text.split(",")} <= {"compact", "delete"}


def _ratio(text: str) -> bool:
    return re.fullmatch(r"0(\.\d+)?|1(\.0+)?", text) is not None


_RULES: dict[str, Callable[[str], bool]] = {
    "cleanup.policy": _policies,
    "compression.type": _one_of("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"),
    "delete.retention.ms": _whole(0),
    "max.compaction.lag.ms": _whole(1),
    "max.message.bytes": _whole(0),
    "message.timestamp.type": _one_of("CreateTime", "LogAppendTime"),
    "min.cleanable.dirty.ratio": _ratio,
    "min.compaction.lag.ms": _whole(0),
    "min.insync.replicas": _whole(1),
    "retention.bytes": _whole(-1),
    "retention.ms": _whole(-1),
    "segment.bytes": _whole(14),
    "segment.ms": _whole(1),
}

#: Known to Kafka, without a meaning for an embedded broker: kept and shown, never looked at.
_IGNORED = (
    "file.delete.delay.ms",
    "flush.",
    "follower.",
    "index.",
    "leader.",
    "local.",
    "message.",
    "preallocate",
    "remote.",
    "segment.",
    "unclean.",
)


class TopicPolicy(NamedTuple):
    """A topic's configuration, parsed once.

    Attributes:
        compact, delete: What ``cleanup.policy`` names.
        retention_ms, retention_bytes: -1 without bound.
        min_compaction_lag_ms, delete_retention_ms: For compaction.
        log_append_time: Does the broker's clock stamp the records?
        max_message_bytes: Most bytes of one batch.
    """

    compact: bool
    delete: bool
    retention_ms: int
    retention_bytes: int
    min_compaction_lag_ms: int
    delete_retention_ms: int
    log_append_time: bool
    max_message_bytes: int

    @classmethod
    def parse(cls, config: Mapping[str, str]) -> TopicPolicy:
        """Read a configuration that `check_config` accepts; Kafka's defaults fill it up."""
        full = {**DEFAULTS, **config}
        policies = {part.strip() for part in full["cleanup.policy"].split(",")}
        return cls(
            "compact" in policies,
            "delete" in policies,
            int(full["retention.ms"]),
            int(full["retention.bytes"]),
            int(full["min.compaction.lag.ms"]),
            int(full["delete.retention.ms"]),
            full["message.timestamp.type"] == "LogAppendTime",
            int(full["max.message.bytes"]),
        )


def check_name(name: str) -> None:
    """Raise `InvalidTopic` unless Kafka would accept the name, too."""
    if not _NAME.match(name) or name in (".", ".."):
        raise InvalidTopic(
            f"topic name {name!r}: use 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'"
        )


def check_partitions(name: str, partitions: int) -> None:
    """Raise `InvalidTopic` unless there is at least one partition."""
    if partitions < 1:
        raise InvalidTopic(f"topic {name!r}: {partitions} partitions; at least one is needed")


def check_config(name: str, config: Mapping[str, str]) -> None:
    """Raise `InvalidTopic` for an entry that Kafka does not know, or a value it does not accept."""
    for entry, value in config.items():
        rule = _RULES.get(entry)
        if rule is None and not entry.startswith(_IGNORED):
            raise InvalidTopic(f"topic {name!r}: there is no topic configuration {entry!r}")
        if rule is not None and not rule(value):
            raise InvalidTopic(f"topic {name!r}: {entry}={value!r} is not a value for that entry")
