"""The proxy does to bytes what it is told, and nothing else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from faust.testing import TcpProxy

#: Long enough for anything that comes at all (seconds).
PATIENCE = 80.0
#: How long nothing must come, before one believes that nothing comes (seconds).
SILENCE = 0.2


class Echo:
    """A server that answers with what it is sent; until its client says no more."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.accepted = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._threads = [self._thread]
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(1 << 16):
                    client.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for thread in self._threads:
            thread.join(PATIENCE)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[TcpProxy]:
    with TcpProxy(echo.address) as made:
        yield made


def connect(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)


def ask(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return receive(client, len(data))


def receive(client: socket.socket, count: int) -> bytes:
    """Return so many bytes, or those that came before the end."""
    client.settimeout(PATIENCE)
    found = b""
    while len(found) < count and (piece := client.recv(count - len(found))):
        found += piece
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def silent(client: socket.socket) -> bool:
    client.settimeout(SILENCE)
    try:
        client.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    return False


def test_bytes_pass_unchanged_in_both_directions(proxy: TcpProxy) -> None:
    data = bytes(range(256)) * 4096
    with connect(proxy) as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        assert receive(client, len(data)) == data
        sender.join()
        (connection,) = proxy.connections
        assert (connection.sent, connection.received) == (len(data), len(data))


def test_an_end_of_one_direction_is_passed_on(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        assert receive(client, 100) == b"last words"


def test_a_black_hole_holds_bytes_and_gives_them_when_it_is_healed(proxy: TcpProxy) -> None:
    with connect(proxy) as old:
        assert ask(old, b"before") == b"before"
        proxy.black_hole()
        old.sendall(b"during")
        with connect(proxy) as new:
            new.sendall(b"new")
            assert silent(old)
            assert silent(new)
            proxy.heal()
            assert receive(old, 6) == b"during"
            assert receive(new, 3) == b"new"


def test_answers_alone_can_be_held(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        assert ask(client, b"x") == b"x"
        proxy.black_hole(up=False)
        client.sendall(b"done")
        (connection,) = proxy.connections
        until(lambda: connection.sent == 5)
        assert silent(client)
        assert (connection.sent, connection.received) == (5, 1)
        proxy.heal()
        assert receive(client, 4) == b"done"


def test_one_connection_is_held_and_the_others_are_not(proxy: TcpProxy) -> None:
    with connect(proxy) as first, connect(proxy) as second:
        assert ask(first, b"1") + ask(second, b"2") == b"12"
        proxy.connections[0].black_hole()
        first.sendall(b"held")
        assert ask(second, b"free") == b"free"
        assert silent(first)
        proxy.connections[0].heal()
        assert receive(first, 4) == b"held"


def test_a_reset_reaches_the_client_also_while_its_bytes_are_held(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        assert ask(client, b"x") == b"x"
        proxy.black_hole()
        client.sendall(b"lost")
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            receive(client, 1)
    proxy.heal()
    with connect(proxy) as client:
        assert ask(client, b"again") == b"again"


def test_a_connection_that_is_ended_in_order_is_no_error(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        assert ask(client, b"x") == b"x"
        proxy.connections[0].cut(reset=False)
        assert receive(client, 1) == b""


def test_new_connections_are_refused_and_open_ones_stay(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        assert ask(client, b"x") == b"x"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert ask(client, b"still") == b"still"
    proxy.heal()
    with connect(proxy) as client:
        assert ask(client, b"again") == b"again"


def test_bytes_take_their_time(proxy: TcpProxy) -> None:
    with connect(proxy) as client:
        assert ask(client, b"x") == b"x"
        proxy.slow(latency=0.1)
        began = time.monotonic()
        assert ask(client, b"there and back") == b"there and back"
        assert time.monotonic() - began >= 0.2
        proxy.slow(bytes_per_second=1000)
        began = time.monotonic()
        ask(client, bytes(200))
        ask(client, b"x")
        assert time.monotonic() - began >= 0.2


def test_a_server_that_is_away_looks_like_one(echo: Echo) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listened at: refuses
        port = nobody.getsockname()[1]
        with TcpProxy(f"127.0.0.1:{port}") as proxy, connect(proxy) as client:
            assert receive(client, 1) == b""
            assert echo.accepted == 0


def test_the_port_is_the_one_asked_for_and_free_afterwards(echo: Echo) -> None:
    with TcpProxy(echo.address) as first:
        port = first.port
        with pytest.raises(OSError, match="in use"), TcpProxy(echo.address, port=port):
            pass
    with TcpProxy(echo.address, port=port) as second, connect(second) as client:
        assert ask(client, b"x") == b"x"


@pytest.mark.parametrize("target", ["localhost", "localhost:", "localhost:kafka"])
def test_a_target_without_a_port_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        TcpProxy(target)


def test_a_rate_of_nothing_is_refused_because_a_black_hole_is_meant(proxy: TcpProxy) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        proxy.slow(bytes_per_second=0)


@pytest.mark.parametrize(
    ("target", "port", "error"),
    [(5, 0, TypeError), ("x", 0, ValueError), ("127.0.0.1:9", 99_999, ValueError)],
)
def test_a_proxy_to_nowhere_is_refused_where_it_is_made(
    target: Any, port: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        TcpProxy(target, port=port)


def test_a_proxy_that_does_not_run_says_so() -> None:
    with pytest.raises(RuntimeError, match="does not run: use it in a with block"):
        TcpProxy("127.0.0.1:9").heal()
