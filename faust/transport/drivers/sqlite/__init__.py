"""The embedded broker: a durable log with groups in one SQLite file."""

from faust.transport.drivers.sqlite.driver import SQLiteTransport

__all__ = ["SQLiteTransport"]
