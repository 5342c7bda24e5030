"""The conformance suite on the embedded broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from faust.testing.conformance import EVERYTHING, World
from faust.transport.base import Transport
from faust.transport.drivers.sqlite import SQLiteTransport


class SQLiteWorld(World):
    """Each test has a file of its own."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def url(self) -> str:
        return f"sqlite://{self.path}"

    def driver(self) -> type[Transport]:
        return SQLiteTransport

    async def maintain(self, transport: Transport) -> None:
        assert isinstance(transport, SQLiteTransport)
        await transport.maintain()


class TestSQLite(*EVERYTHING):  # type: ignore[misc]
    @pytest.fixture(autouse=True)
    def _broker(self, tmp_path: Path) -> None:
        self.path = tmp_path / "broker.db"

    def make_world(self) -> World:
        return SQLiteWorld(self.path)
