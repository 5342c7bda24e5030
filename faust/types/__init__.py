"""The public types, for annotations and `isinstance`: ``AppT`` *is* `faust.App`, and so on.

Nothing is declared twice: each name is the class itself, imported when it is first used.  Nothing
inside imports from here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faust.types.agents import ActorT as ActorT
    from faust.types.agents import AgentT as AgentT
    from faust.types.app import AppT as AppT
    from faust.types.assignor import PartitionAssignorT as PartitionAssignorT
    from faust.types.auth import CredentialsT as CredentialsT
    from faust.types.channels import ChannelT as ChannelT
    from faust.types.codecs import CodecArg as CodecArg
    from faust.types.codecs import CodecT as CodecT
    from faust.types.core import HeadersArg as HeadersArg
    from faust.types.core import K as K
    from faust.types.core import OpenHeadersArg as OpenHeadersArg
    from faust.types.core import V as V
    from faust.types.enums import ProcessingGuarantee as ProcessingGuarantee
    from faust.types.events import EventT as EventT
    from faust.types.fixups import FixupT as FixupT
    from faust.types.models import (
        FieldDescriptorT as FieldDescriptorT,
    )
    from faust.types.models import (
        ModelArg as ModelArg,
    )
    from faust.types.models import (
        ModelOptions as ModelOptions,
    )
    from faust.types.models import (
        ModelT as ModelT,
    )
    from faust.types.router import RouterT as RouterT
    from faust.types.sensors import SensorT as SensorT
    from faust.types.serializers import RegistryT as RegistryT
    from faust.types.serializers import SchemaT as SchemaT
    from faust.types.settings import Settings as Settings
    from faust.types.stores import StoreT as StoreT
    from faust.types.streams import StreamT as StreamT
    from faust.types.tables import (
        CollectionT as CollectionT,
    )
    from faust.types.tables import (
        GlobalTableT as GlobalTableT,
    )
    from faust.types.tables import (
        TableManagerT as TableManagerT,
    )
    from faust.types.tables import (
        TableT as TableT,
    )
    from faust.types.tables import (
        WindowSetT as WindowSetT,
    )
    from faust.types.tables import (
        WindowWrapperT as WindowWrapperT,
    )
    from faust.types.topics import TopicT as TopicT
    from faust.types.transports import (
        ConductorT as ConductorT,
    )
    from faust.types.transports import (
        ProducerT as ProducerT,
    )
    from faust.types.transports import (
        TransportT as TransportT,
    )
    from faust.types.tuples import (
        TP as TP,
    )
    from faust.types.tuples import (
        FutureMessage as FutureMessage,
    )
    from faust.types.tuples import (
        Message as Message,
    )
    from faust.types.tuples import (
        PendingMessage as PendingMessage,
    )
    from faust.types.tuples import (
        RecordMetadata as RecordMetadata,
    )
    from faust.types.web import (
        Request as Request,
    )
    from faust.types.web import (
        ResourceOptions as ResourceOptions,
    )
    from faust.types.web import (
        Response as Response,
    )
    from faust.types.web import (
        View as View,
    )
    from faust.types.windows import WindowT as WindowT

#: Name -> the module of this package that has it.
_HOMES = {
    "ActorT": "agents",
    "AgentT": "agents",
    "AppT": "app",
    "ChannelT": "channels",
    "CodecArg": "codecs",
    "CodecT": "codecs",
    "CollectionT": "tables",
    "ConductorT": "transports",
    "CredentialsT": "auth",
    "EventT": "events",
    "FieldDescriptorT": "models",
    "FixupT": "fixups",
    "FutureMessage": "tuples",
    "GlobalTableT": "tables",
    "HeadersArg": "core",
    "K": "core",
    "Message": "tuples",
    "ModelArg": "models",
    "ModelOptions": "models",
    "ModelT": "models",
    "OpenHeadersArg": "core",
    "PartitionAssignorT": "assignor",
    "PendingMessage": "tuples",
    "ProcessingGuarantee": "enums",
    "ProducerT": "transports",
    "RecordMetadata": "tuples",
    "RegistryT": "serializers",
    "Request": "web",
    "ResourceOptions": "web",
    "Response": "web",
    "RouterT": "router",
    "SchemaT": "serializers",
    "SensorT": "sensors",
    "Settings": "settings",
    "StoreT": "stores",
    "StreamT": "streams",
    "TP": "tuples",
    "TableManagerT": "tables",
    "TableT": "tables",
    "TopicT": "topics",
    "TransportT": "transports",
    "V": "core",
    "View": "web",
    "WindowSetT": "tables",
    "WindowT": "windows",
    "WindowWrapperT": "tables",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        if name in _HOMES.values():
            return import_module(f"faust.types.{name}")
        raise AttributeError(f"module 'faust.types' has no attribute {name!r}")
    value = getattr(import_module(f"faust.types.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
