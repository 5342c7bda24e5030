"""What serializers ask of a model and of a codec, and the table of models by namespace.

Models and serializers both import this and not each other's registries, so neither needs the
other to be defined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Protocol, TypeAlias, TypeGuard, runtime_checkable

__all__ = [
    "METADATA_KEY",
    "CodecArg",
    "CodecProto",
    "ModelArg",
    "ModelProto",
    "is_model",
    "maybe_model",
    "namespace_of",
    "registry",
]

#: The key under which a serialized model names its class: ``{"__faust": {"ns": "proj.Order"}}``.
METADATA_KEY = "__faust"


@runtime_checkable
class CodecProto(Protocol):
    """Turns objects into bytes, and back."""

    def dumps(self, obj: Any) -> bytes: ...

    def loads(self, s: bytes) -> Any: ...


#: A codec, its name (``"json"``, ``"json|gzip"``), or ``None`` for the default.
CodecArg: TypeAlias = CodecProto | str | None


class ModelProto(Protocol):
    """The members of a model class that serialization stands on."""

    #: Marks the class as a model; `is_model` looks at this and nothing else.
    __is_model__: bool

    @classmethod
    def from_data(cls, data: Any, *, preferred_type: Any = None) -> Any:
        """Build an instance from what a codec decoded."""

    def to_representation(self) -> Any:
        """Return what a codec encodes."""

    def dumps(self, *, serializer: CodecArg = None) -> bytes:
        """Encode this instance."""

    @classmethod
    def __model_serializer__(cls) -> CodecArg:
        """Return the class's own ``serializer`` option."""

    @classmethod
    def __model_loader__(cls) -> Callable[[bytes], Any]:
        """Return the fastest function from JSON bytes to an instance."""

    @classmethod
    def __model_dumper__(cls) -> Callable[[Any], bytes]:
        """Return the fastest function from an instance to JSON bytes."""

    @classmethod
    def __model_key_dumper__(cls) -> Callable[[Any], bytes]:
        """Return the function from an instance to JSON bytes, equal for equal instances."""


#: How a topic or table names the type of its keys or values: a model, any type that can be
#: decoded from JSON, ``str`` or ``bytes``; ``None`` where it does not.
ModelArg: TypeAlias = Any

#: Every model class by its namespace.  A later class of the same namespace replaces the earlier.
registry: MutableMapping[str, type[ModelProto]] = {}


def is_model(typ: Any) -> TypeGuard[type[ModelProto]]:
    """Tell whether ``typ`` is a model class."""
    return isinstance(typ, type) and getattr(typ, "__is_model__", False) is True


def namespace_of(data: Any) -> str | None:
    """Return the namespace that a decoded payload carries, if it does."""
    if isinstance(data, Mapping):
        metadata = data.get(METADATA_KEY)
        if isinstance(metadata, Mapping):
            namespace = metadata.get("ns")
            return namespace if isinstance(namespace, str) else None
    return None


def maybe_model(arg: Any) -> Any:
    """Return ``arg`` as the model that it names, or as it is if it names none.

    Raises:
        KeyError: It names a model that is not known in this process.
    """
    namespace = namespace_of(arg)
    return arg if namespace is None else registry[namespace].from_data(arg)
