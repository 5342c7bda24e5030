"""What is measured: sensors, and the monitor."""

from faust.sensors.base import Sensor
from faust.sensors.monitor import Monitor

__all__ = ["Monitor", "Sensor"]
