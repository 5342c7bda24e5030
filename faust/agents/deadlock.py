"""Asks that could never be answered: who would be waited for waits for the event that asks.

What is known here is this worker: where others hold some of the topic's partitions, the request may
go to one of them, and is let through.
"""

from __future__ import annotations

from typing import Any

from faust._inprogress import InProgress, current_stream

__all__ = ["refuse_to_wait_for_itself"]


def refuse_to_wait_for_itself(app: Any, name: str) -> None:
    """Check an ask of agent ``name`` from the event in progress.

    Raises:
        RuntimeError: both write one table; or all its instances wait for this event.
    """
    stream = current_stream()
    if stream is None or not stream.inside:
        return
    _check_gate(stream, name)
    if stream.agent is not None and _all_here(app, name) and _stuck(app, name, stream, set()):
        raise RuntimeError(
            f"agent {stream.agent.name!r} asks agent {name!r}, whose every instance waits for the "
            f"event that asks: there would never be an answer. Use cast() or send(), or give the "
            f"agent more instances (concurrency=...)"
        )


def _check_gate(stream: InProgress, name: str) -> None:
    gate = None if stream.task is None else stream.task.gate
    if gate is None or stream.reader == name:
        return
    if name in gate.readers and stream.reader in gate.inside:
        raise RuntimeError(
            f"agent {stream.reader!r} asks agent {name!r}, and both write one table: "
            f"the answer could wait for this event, and this event for the answer. Use "
            f"cast() or send(), or keep the table to one of them"
        )


def _all_here(app: Any, name: str) -> bool:
    """Can only this worker answer for this agent?"""
    agent = app.agents.get(name)
    if agent is None or agent.isolated_partitions:
        return False
    if not agent.reads_topic:
        return True
    assigned = set() if app.engine is None else app.engine.assigned_partitions()
    for topic in agent.get_topic_names():
        here = sum(tp.topic == topic for tp in assigned)
        if not here or here < app.outbox.target(topic).partitions:
            return False
    return True


def _stuck(app: Any, name: str, asker: InProgress, path: set[str]) -> bool:
    """Is every instance of the agent the asker, or waiting for one that is stuck?"""
    if name in path:
        return True
    agent = app.agents.get(name)
    streams = [] if agent is None else agent.streams_in_progress()
    return bool(streams) and all(
        each is asker
        or (each.asking is not None and _stuck(app, each.asking[0], asker, path | {name}))
        for each in streams
    )
