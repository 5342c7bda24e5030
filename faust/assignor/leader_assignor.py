"""The leader: the worker that holds the only partition of the app's leader topic."""

from __future__ import annotations

from typing import Any

from mode import Service

from faust._values import TP

__all__ = ["LeaderAssignor"]


class LeaderAssignor(Service):
    """Lets the group choose one of its workers as the leader.

    Arguments:
        app: The app.

    The topic ``{app id}-__assignor-__leader`` has one partition; whoever is given it leads.  It is
    read from the first time that somebody asks (or that something is declared with
    ``on_leader=True``).
    """

    abstract = False

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(**options)
        self.app = app
        self._topic: Any = None

    @property
    def topic_name(self) -> str:
        """Name of the leader topic."""
        return f"{self.app.conf.id}-__assignor-__leader"

    async def on_start(self) -> None:
        """Read the leader topic, so that its partition is assigned to somebody."""
        self.subscribe()

    def subscribe(self) -> None:
        """Read the leader topic from now on."""
        if self._topic is None:
            self._topic = self.app.topic(
                self.topic_name, partitions=1, acks=False, internal=True, has_prefix=True
            )
        self.app.subscribe(self._topic, "leader")

    def is_leader(self) -> bool:
        """Is this worker the leader now?"""
        engine = self.app.engine
        if engine is None or engine.generation < 0:
            return False
        mine = TP(self.topic_name, 0)
        return self.app.assignor.is_active(mine) and any(
            mine in task.sources for task in engine.tasks.values()
        )
