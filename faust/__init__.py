"""Faust: stream processing for Python.

Every public name is here, and imported when it is first used: ``import faust`` loads nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

__version__ = "2.0.0.dev0"
__author__ = "The Faust 2 authors"
__homepage__ = "https://faust.readthedocs.io/"


class VersionInfo(NamedTuple):
    """`__version__` taken apart: ``faust.version_info >= (2, 0)``.

    Attributes:
        releaselevel: ``dev``, ``a``, ``b``, ``rc``, or nothing for a release.
        serial: Its number as text, or nothing.
    """

    major: int
    minor: int
    micro: int
    releaselevel: str = ""
    serial: str = ""


def _taken_apart(version: str) -> VersionInfo:
    major, minor, rest = version.split(".", 2)
    micro = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    level = rest[len(micro) :].lstrip(".")
    word = level.rstrip("0123456789")
    return VersionInfo(int(major), int(minor), int(micro), word, level[len(word) :])


version_info = VERSION = _taken_apart(__version__)
version_info_t = VersionInfo

if TYPE_CHECKING:
    from mode import Service as Service
    from mode import ServiceT as ServiceT

    from faust._values.policies import DeadLetter as DeadLetter
    from faust._values.policies import Retry as Retry
    from faust.agents import Agent as Agent
    from faust.agents import ReplyPromise as ReplyPromise
    from faust.agents import current_agent as current_agent
    from faust.app import App as App
    from faust.auth import GSSAPICredentials as GSSAPICredentials
    from faust.auth import OAuthCredentials as OAuthCredentials
    from faust.auth import SASLCredentials as SASLCredentials
    from faust.auth import SSLCredentials as SSLCredentials
    from faust.channels import Channel as Channel
    from faust.cli.base import AppCommand as AppCommand
    from faust.cli.base import Command as Command
    from faust.events import Event as Event
    from faust.models import FieldDescriptor as FieldDescriptor
    from faust.models import Model as Model
    from faust.models import ModelOptions as ModelOptions
    from faust.models import Record as Record
    from faust.models.tags import Personal as Personal
    from faust.models.tags import Secret as Secret
    from faust.models.tags import Sensitive as Sensitive
    from faust.router import Router as Router
    from faust.sensors import Monitor as Monitor
    from faust.sensors import Sensor as Sensor
    from faust.serializers import Codec as Codec
    from faust.serializers import Schema as Schema
    from faust.settings import Settings as Settings
    from faust.streams import Stream as Stream
    from faust.streams import current_event as current_event
    from faust.tables import Table as Table
    from faust.tables.globaltable import GlobalTable as GlobalTable
    from faust.tables.sets import Set as Set
    from faust.tables.sets import SetGlobalTable as SetGlobalTable
    from faust.tables.sets import SetTable as SetTable
    from faust.topics import Topic as Topic
    from faust.types.channels import ChannelT as ChannelT
    from faust.types.events import EventT as EventT
    from faust.types.streams import StreamT as StreamT
    from faust.types.topics import TopicT as TopicT
    from faust.utils import uuid as uuid
    from faust.windows import HoppingWindow as HoppingWindow
    from faust.windows import SessionWindow as SessionWindow
    from faust.windows import SlidingWindow as SlidingWindow
    from faust.windows import TumblingWindow as TumblingWindow
    from faust.windows import Window as Window
    from faust.worker import Worker as Worker

#: Public name -> the module that defines it.
_HOMES = {
    "Agent": "faust.agents",
    "App": "faust.app",
    "AppCommand": "faust.cli.base",
    "Channel": "faust.channels",
    "ChannelT": "faust.types.channels",
    "Codec": "faust.serializers",
    "Command": "faust.cli.base",
    "DeadLetter": "faust._values.policies",
    "Event": "faust.events",
    "EventT": "faust.types.events",
    "FieldDescriptor": "faust.models",
    "GSSAPICredentials": "faust.auth",
    "GlobalTable": "faust.tables.globaltable",
    "HoppingWindow": "faust.windows",
    "Model": "faust.models",
    "ModelOptions": "faust.models",
    "Monitor": "faust.sensors",
    "OAuthCredentials": "faust.auth",
    "Personal": "faust.models.tags",
    "Record": "faust.models",
    "ReplyPromise": "faust.agents",
    "Retry": "faust._values.policies",
    "Router": "faust.router",
    "SASLCredentials": "faust.auth",
    "SSLCredentials": "faust.auth",
    "Schema": "faust.serializers",
    "Secret": "faust.models.tags",
    "Sensitive": "faust.models.tags",
    "Sensor": "faust.sensors",
    "Service": "mode",
    "ServiceT": "mode",
    "Set": "faust.tables.sets",
    "SetGlobalTable": "faust.tables.sets",
    "SetTable": "faust.tables.sets",
    "Settings": "faust.settings",
    "SessionWindow": "faust.windows",
    "SlidingWindow": "faust.windows",
    "Stream": "faust.streams",
    "StreamT": "faust.types.streams",
    "Table": "faust.tables",
    "Topic": "faust.topics",
    "TopicT": "faust.types.topics",
    "TumblingWindow": "faust.windows",
    "Window": "faust.windows",
    "Worker": "faust.worker",
    "current_agent": "faust.agents",
    "current_event": "faust.streams",
    "uuid": "faust.utils",
}

# Written out, for type checkers; a test compares it with the table above.
__all__ = [
    "VERSION",
    "Agent",
    "App",
    "AppCommand",
    "Channel",
    "ChannelT",
    "Codec",
    "Command",
    "DeadLetter",
    "Event",
    "EventT",
    "FieldDescriptor",
    "GSSAPICredentials",
    "GlobalTable",
    "HoppingWindow",
    "Model",
    "ModelOptions",
    "Monitor",
    "OAuthCredentials",
    "Personal",
    "Record",
    "ReplyPromise",
    "Retry",
    "Router",
    "SASLCredentials",
    "SSLCredentials",
    "Schema",
    "Secret",
    "Sensitive",
    "Sensor",
    "Service",
    "ServiceT",
    "SessionWindow",
    "Set",
    "SetGlobalTable",
    "SetTable",
    "Settings",
    "SlidingWindow",
    "Stream",
    "StreamT",
    "Table",
    "Topic",
    "TopicT",
    "TumblingWindow",
    "VersionInfo",
    "Window",
    "Worker",
    "__author__",
    "__homepage__",
    "__version__",
    "current_agent",
    "current_event",
    "uuid",
    "version_info",
    "version_info_t",
]


#: Modules that are imported when they are first named (``faust.types.TP`` after ``import faust``).
_PARTS = frozenset(
    {
        "agents",
        "app",
        "assignor",
        "auth",
        "channels",
        "cli",
        "conductor",
        "contrib",
        "events",
        "exceptions",
        "fixups",
        "models",
        "router",
        "sensors",
        "serializers",
        "settings",
        "stores",
        "streams",
        "tables",
        "testing",
        "topics",
        "transport",
        "types",
        "utils",
        "web",
        "windows",
        "worker",
    }
)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if name in _PARTS:
        from importlib import import_module

        return import_module(f"faust.{name}")
    if home is None:
        of_app = name in ("agent", "channel", "command", "page", "task", "timer", "topic")
        hint = f": it is a method of an app (app.{name})" if of_app else ""
        raise AttributeError(f"module 'faust' has no attribute {name!r}{hint}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
