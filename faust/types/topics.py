"""Topics."""

from __future__ import annotations

from faust.topics import Topic as TopicT

__all__ = ["TopicT"]
