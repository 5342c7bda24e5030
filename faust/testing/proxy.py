"""A TCP proxy to have network trouble with: it holds, slows, cuts and refuses, when it is told to.

Theory.  It runs in a thread of its own, so that it goes on while a test, or its event loop, is
blocked, and so that tests without a loop can use it; each command is done when it returns.  A black
hole *holds* bytes and loses none: that is what TCP does while packets are lost.  When it is healed,
requests that everybody has given up arrive after all, which is what makes such faults worth a test.
(To lose them, `TcpProxy.cut` the connections first.)

A server that tells its clients where to connect, as a Kafka broker does, must name the proxy:
``advertised.listeners``.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

__all__ = ["Connection", "TcpProxy"]

#: Bytes that are read at once, and how many such pieces may be under way in one direction.
PIECE, PIECES = 1 << 16, 16
#: Longest that a command may take (seconds).
PATIENCE = 10.0
#: How often a port that was given up is tried again, and how long to wait in between (seconds).
TRIES, PAUSE = 50, 0.1
#: Closing such a socket sends RST at once.
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Rules:
    """What becomes of bytes.

    Attributes:
        hold_up: Hold what clients send.
        hold_down: Hold what the server answers.
        latency: Seconds that each piece takes, in each direction.
        rate: Bytes a second in each direction of a connection; ``None``: as they come.
    """

    hold_up: bool = False
    hold_down: bool = False
    latency: float = 0.0
    rate: float | None = None


class _Ruled(ABC):
    """What can be told to one connection, and to all."""

    @abstractmethod
    def _tell(self, change: Callable[[Rules], Rules]) -> None:
        """Change the rules."""

    def black_hole(self, *, up: bool = True, down: bool = True) -> None:
        """Forward nothing until `heal`; connections stay open, and new ones are accepted.

        Arguments:
            up: What clients send.
            down: What the server answers.  Alone: requests take effect, and nobody hears of it.
        """
        self._tell(lambda rules: replace(rules, hold_up=up, hold_down=down))

    def slow(self, *, latency: float = 0.0, bytes_per_second: float | None = None) -> None:
        """Let bytes take their time, until `heal`.

        Arguments:
            latency: Seconds in each direction, so that a round trip takes twice as long.
            bytes_per_second: For each connection, in each direction; ``None``: no limit.

        Raises:
            ValueError: a latency below 0, or a rate that is not above 0.
        """
        if latency < 0 or (bytes_per_second is not None and bytes_per_second <= 0):
            raise ValueError(
                f"latency={latency} must not be negative, and "
                f"bytes_per_second={bytes_per_second} must be positive"
            )
        self._tell(lambda rules: replace(rules, latency=latency, rate=bytes_per_second))


class Connection(_Ruled):
    """One connection through the proxy; it obeys the proxy until it is told something itself.

    Attributes:
        number: Counts connections from 1.
        client: Host and port of the client.
        sent: Bytes that the client has sent and that were forwarded.
        received: Bytes that were forwarded to the client.
    """

    def __init__(self, proxy: TcpProxy, number: int, client: str) -> None:
        self.number, self.client = number, client
        self.sent = self.received = 0
        self._proxy = proxy
        self._own: Rules | None = None
        self._ends: tuple[asyncio.StreamWriter, ...] = ()

    def __repr__(self) -> str:
        return f"<Connection {self.number} from {self.client} [{self.sent}/{self.received} bytes]>"

    def cut(self, *, reset: bool = True) -> None:
        """End it on both sides; bytes on their way are lost.

        Arguments:
            reset: By RST, as when a machine is gone; else by FIN, as when a process has ended.
        """
        self._proxy._call(lambda: self._cut(reset))

    def heal(self) -> None:
        """Obey the proxy again."""

        def obey() -> None:
            self._own = None
            self._proxy._wake()

        self._proxy._call(obey)

    def _tell(self, change: Callable[[Rules], Rules]) -> None:
        def obey() -> None:
            self._own = change(self.rules)
            self._proxy._wake()

        self._proxy._call(obey)

    @property
    def rules(self) -> Rules:
        """What it obeys now."""
        return self._proxy.rules if self._own is None else self._own

    def _cut(self, reset: bool) -> None:
        for writer in self._ends:
            if reset:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            elif not writer.is_closing():
                writer.write_eof()
            writer.transport.abort()
        self._proxy._open[self].cancel()

    # -- bytes ---------------------------------------------------------------------------

    async def _run(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._ends = (client[1], server[1])
        for writer in self._ends:  # what is forwarded is with the system, and not with us
            writer.transport.set_write_buffer_limits(0)
        async with asyncio.TaskGroup() as group:
            for source, sink, up in ((client[0], server[1], True), (server[0], client[1], False)):
                pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES)
                group.create_task(self._read(source, pieces))
                group.create_task(self._write(pieces, sink, up))

    async def _read(
        self, source: asyncio.StreamReader, pieces: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            data = await source.read(PIECE)
            await pieces.put((clock(), data))
            if not data:
                return

    async def _write(
        self, pieces: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter, up: bool
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            came, data = await pieces.get()
            if (late := came + self.rules.latency - clock()) > 0:
                await asyncio.sleep(late)
            await self._proxy._until(lambda: not self._holds(up))
            if not data:
                sink.write_eof()
                return
            self.sent += len(data) if up else 0
            self.received += 0 if up else len(data)
            sink.write(data)
            await sink.drain()
            if self.rules.rate is not None:
                await asyncio.sleep(len(data) / self.rules.rate)

    def _holds(self, up: bool) -> bool:
        return self.rules.hold_up if up else self.rules.hold_down


class TcpProxy(_Ruled):
    """Stands between clients and a server; a context manager.

    ```python
    with TcpProxy("127.0.0.1:9092", port=19092) as proxy:
        proxy.black_hole()
        ...
        proxy.heal()
    ```

    Arguments:
        target: Host and port of the server, which need not be there yet: each connection is made
            when a client makes one, and reset where the server cannot be reached.
        port: Port to listen on; 0: a free one.
        host: Address to listen on.

    Raises:
        TypeError: the target is no text.
        ValueError: the target is not host and port, or there is no such port.
        OSError: entering: the port is taken.
    """

    def __init__(self, target: str, *, port: int = 0, host: str = "127.0.0.1") -> None:
        if not isinstance(target, str):
            raise TypeError(f"the target is text, host:port, not {target!r}")
        name, colon, number = target.rpartition(":")
        if not colon or not number.isdecimal():
            raise ValueError(f"{target!r} is not host:port")
        if not isinstance(port, int) or not 0 <= port < 65_536:
            raise ValueError(f"port must be a number from 0 to 65535, not {port!r}")
        self._target = (name.strip("[]"), int(number))
        self._host, self._port = host, port
        self._rules = Rules()
        self._refuses = False
        self._numbers = itertools.count(1)
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<TcpProxy {self.address} to {self._target[0]}:{self._target[1]}>"

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        try:
            self._call(lambda: self._listen(1))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._call(self._close)
        self._end()

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return self._port

    @property
    def address(self) -> str:
        """Host and port that clients connect to."""
        return f"{self._host}:{self._port}"

    @property
    def connections(self) -> list[Connection]:
        """Those that are open, the oldest first."""
        return list(self._open)

    @property
    def rules(self) -> Rules:
        """What connections obey that were told nothing themselves."""
        return self._rules

    def refuse(self) -> None:
        """Refuse new connections until `heal`; those that are open stay."""
        self._refuses = True
        self._call(self._deafen)

    def cut(self, *, reset: bool = True) -> None:
        """End all connections (see `Connection.cut`); new ones are accepted."""

        def cut_all() -> None:
            for connection in list(self._open):
                connection._cut(reset)

        self._call(cut_all)

    def heal(self) -> None:
        """Forward everything again, what was held first; accept connections."""
        self._refuses = False
        self._tell(lambda _: Rules())
        for connection in self.connections:
            connection.heal()
        self._call(lambda: self._listen(TRIES), PATIENCE + TRIES * PAUSE)

    # -- inside --------------------------------------------------------------------------

    def _call(self, command: Callable[[], object], patience: float = PATIENCE) -> None:
        """Do something in the proxy's own thread, and wait until it is done."""

        if self._loop is None:
            raise RuntimeError(f"{self!r} does not run: use it in a with block")

        async def do() -> None:
            done = command()
            if isinstance(done, Awaitable):
                await done

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(patience)

    def _tell(self, change: Callable[[Rules], Rules]) -> None:
        def obey() -> None:
            self._rules = change(self._rules)
            self._wake()

        self._call(obey)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    async def _listen(self, tries: int) -> None:
        if self._server is not None:
            return
        for attempt in range(tries):
            try:
                self._server = await asyncio.start_server(self._serve, self._host, self._port)
                break
            except OSError:
                if attempt == tries - 1:
                    raise
                await asyncio.sleep(PAUSE)
        assert self._server is not None
        self._port = self._server.sockets[0].getsockname()[1]

    def _deafen(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        host, port = writer.get_extra_info("peername")[:2]
        connection = Connection(self, next(self._numbers), f"{host}:{port}")
        connection._ends = (writer,)
        self._open[connection] = task
        try:
            server = await asyncio.open_connection(*self._target)
            await connection._run((reader, writer), server)
        except* OSError:
            pass  # one of the two is gone: so is the connection, for both
        except* asyncio.CancelledError:
            pass  # the proxy ends
        finally:
            del self._open[connection]
            for end in connection._ends:
                end.transport.abort()

    async def _close(self) -> None:
        self._deafen()
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports that were aborted close their sockets

    def _end(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()
        self._loop = None
