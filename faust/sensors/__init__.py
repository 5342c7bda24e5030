"""What is measured: sensors, and the monitor."""

from faust.sensors.base import Sensor
from faust.sensors.delegate import SensorDelegate
from faust.sensors.monitor import Monitor, TableState

__all__ = ["Monitor", "Sensor", "SensorDelegate", "TableState"]
