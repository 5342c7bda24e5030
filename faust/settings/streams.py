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
        text="""How many events a stream may hold that were handed to it and are not finished: those
        that ``take`` collects, those under ``noack()`` that nobody has acknowledged yet, and what
        waits in a channel in memory. Whole batches that wait unread are limited by bytes: 4 MiB
        for each partition, 64 MiB in all.""",
    )
