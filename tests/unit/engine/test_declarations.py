"""Topics that are created and checked before the group is joined."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, cast

import faust
from faust._engine.declarations import Declarations
from faust.exceptions import TopicExists
from faust.transport.base import TopicInfo, TopicSpec, Transport


class SlowToTell:
    """The topic exists, for somebody has just created it, and is shown a little later."""

    def __init__(self, looks: int) -> None:
        self.looks_until_shown = looks

    async def create_topic(self, spec: TopicSpec) -> None:
        raise TopicExists(spec.name)

    async def topics(self, names: Collection[str]) -> dict[str, TopicInfo]:
        self.looks_until_shown -= 1
        if self.looks_until_shown > 0:
            return {}
        return {name: TopicInfo(name, "id", 3) for name in names}


def test_a_topic_that_another_worker_has_just_created_is_waited_for() -> None:
    app = faust.App("declares", broker="memory://")
    topic: Any = app.topic("declares-changelog", internal=True)
    broker = SlowToTell(looks=3)
    declarations = Declarations(app.conf, cast(Transport, broker), app.topics, {}, {}, ())
    info = asyncio.run(declarations.create("declares-changelog", topic, 3))
    assert info.partitions == 3
