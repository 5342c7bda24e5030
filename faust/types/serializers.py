"""Serializers."""

from __future__ import annotations

from typing import TypeVar

from faust.serializers.registry import Registry as RegistryT
from faust.serializers.schemas import Schema as SchemaT

__all__ = ["KT", "VT", "RegistryT", "SchemaT"]

KT = TypeVar("KT")
VT = TypeVar("VT")
