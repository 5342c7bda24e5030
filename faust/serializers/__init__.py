"""Bytes to keys and values, and back: codecs, the registry that chooses them, schemas."""

from faust.serializers.codecs import Codec
from faust.serializers.registry import Registry
from faust.serializers.schemas import Schema

__all__ = ["Codec", "Registry", "Schema"]
