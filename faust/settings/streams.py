"""Settings of streams."""

from __future__ import annotations

from faust.settings.kinds import Int
from faust.settings.params import Section, setting

__all__ = ["StreamSettings"]


class StreamSettings(Section, title="Streams"):
    """How streams hold what they read."""

    stream_buffer_maxsize = setting(
        Int(1),
        default=1000,
        env="STREAM_BUFFER_MAXSIZE",
        text="""How many events a stream may hold that it has not finished, those collected by
        ``take`` included; reading its partitions pauses above. One batch may exceed it.""",
    )
