"""Transports and their parts."""

from __future__ import annotations

from faust._engine.clients import Consumer as ConsumerT
from faust.conductor import TopicConductor as ConductorT
from faust.transport.base import Transport as TransportT
from faust.transport.producer import Producer as ProducerT

__all__ = ["ConductorT", "ConsumerT", "ProducerT", "TransportT"]
