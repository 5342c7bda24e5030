"""Sensors."""

from __future__ import annotations

from faust.sensors import Sensor as SensorT

__all__ = ["SensorT"]
