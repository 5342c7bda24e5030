"""Settings that say which classes the app is made of."""

from __future__ import annotations

from typing import Any

from faust.settings.lazy_kinds import ClassPath
from faust.settings.params import Section, Setting, setting

__all__ = ["ClassSettings"]


def _class(path: str, what: str) -> Setting[Any, Any]:
    """A setting that holds the class of ``what``."""
    text = f"The class of {what}, or its path; it is imported when it is first used."
    return setting(ClassPath(), default=path, text=text)


class ClassSettings(Section, title="Subclassing"):
    """Each takes a class or the path of one: ``'package.module:Class'``."""

    Agent = _class("faust.Agent", "agents")
    Event = _class("faust.Event", "events")
    Schema = _class("faust.Schema", "schemas, where a topic or channel is given none")
    Stream = _class("faust.Stream", "streams")
    Table = _class("faust.Table", "tables")
    Set = _class("faust.Set", "sets")
    SetTable = _class("faust.SetTable", "tables of sets")
    GlobalTable = _class("faust.GlobalTable", "global tables")
    SetGlobalTable = _class("faust.SetGlobalTable", "global tables of sets")
    TableManager = _class("faust.tables.TableManager", "what manages all tables")
    Serializers = _class("faust.serializers.Registry", "the registry of serializers")
    Worker = _class("faust.Worker", "the worker")
    PartitionAssignor = _class("faust.assignor.PartitionAssignor", "what assigns partitions")
    LeaderAssignor = _class("faust.assignor.LeaderAssignor", "what chooses the leader")
    Router = _class("faust.app.router.Router", "what finds the worker for a key")
    TopicConductor = _class(
        "faust.topics:TopicConductor", "what hands events from the broker to streams"
    )
    Topic = _class("faust.Topic", "topics")
    HttpClient = _class("aiohttp.client:ClientSession", "the HTTP client")
    Monitor = _class("faust.sensors:Monitor", "the main sensor")
