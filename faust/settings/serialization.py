"""Settings of how keys and values become bytes."""

from __future__ import annotations

from typing import Any

from faust.settings.params import Kind, Section, setting

__all__ = ["SerializationSettings"]


class SerializerKind(Kind[Any, Any]):
    """The name of a codec, or a codec."""

    annotation = "str | CodecProto"
    expects = "the name of a codec such as 'json', or a codec"

    def convert(self, value: Any) -> Any:
        if not (isinstance(value, str) and value) and not hasattr(value, "loads"):
            raise TypeError
        return value


class SerializationSettings(Section, title="Serialization"):
    """Codecs where neither topic, schema nor model names one."""

    key_serializer = setting(
        SerializerKind(),
        default="json",
        env="APP_KEY_SERIALIZER",
        text="Codec of keys, where nothing else names one: a name such as ``json``, or a codec.",
    )
    value_serializer = setting(
        SerializerKind(),
        default="json",
        env="APP_VALUE_SERIALIZER",
        text="Codec of values, where nothing else names one: a name such as ``json``, or a codec.",
    )
