"""Codecs."""

from __future__ import annotations

from faust.serializers.codecs import Codec as CodecT
from faust.serializers.codecs import CodecArg

__all__ = ["CodecArg", "CodecT"]
