"""Asks a broker who it knows and who leads what, over a bare socket."""

from __future__ import annotations

import itertools
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random

#: Metadata, version 4: the oldest that Kafka 4 and every client of ours share.
_METADATA, _VERSION = 3, 4
_FIND_COORDINATOR = 10


#: Ports that no system gives to whoever asks for any (`_given_away`), and no known service has.
_LOWEST, _HIGHEST = 20_000, 32_000


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports of 127.0.0.1 that nobody listens on right now.

    Nor does anybody get one by chance before it is used: they are none of those that are given to
    clients, and to servers at port 0; and this process names none of them twice.
    """
    found: list[int] = []
    while len(found) < count:
        port = next(_ports)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


def _given_away() -> range:
    """The ports that the system gives to whoever asks for any."""
    try:
        low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    except OSError:
        return range(32_768, 65_536)
    return range(int(low), int(high) + 1)


def _in_turn() -> Iterator[int]:
    """Each process begins elsewhere: several look for ports at the same time."""
    taken = _given_away()
    ports = [port for port in range(_LOWEST, _HIGHEST) if port not in taken]
    if len(ports) < 1_000:  # the system gives away nearly all
        ports = list(range(_LOWEST, _HIGHEST))
    first = Random(os.getpid()).randrange(len(ports))
    return itertools.cycle(ports[first:] + ports[:first])


_ports = _in_turn()


def is_listening(port: int) -> bool:
    """Tell whether somebody accepts connections on ``port`` of 127.0.0.1."""
    with socket.socket() as sock:
        sock.settimeout(1.0)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def known_brokers(port: int) -> int:
    """Return how many live brokers the broker on ``port`` knows; 0 if it does not answer."""
    answer = _ask(port, _METADATA, _VERSION, struct.pack(">i?", 0, False))
    return 0 if answer is None else answer.skip(4).int32()


def coordinator(port: int, name: str, *, transactional: bool = False) -> int:
    """Return the number of the node that coordinates a group, or a transactional id; -1 if the
    broker on ``port`` does not know."""
    body = _string(name) + struct.pack(">b", int(transactional))
    answer = _ask(port, _FIND_COORDINATOR, 1, body)
    if answer is None or answer.skip(4).int16() != 0:
        return -1
    answer.string()
    return answer.int32()


def leader(port: int, topic: str, partition: int) -> int:
    """Return the number of the node that leads a partition; -1 if the broker on ``port`` does not
    know."""
    body = struct.pack(">i", 1) + _string(topic) + struct.pack(">?", False)
    answer = _ask(port, _METADATA, _VERSION, body)
    if answer is None:
        return -1
    answer.skip(4)
    for _ in range(answer.int32()):  # brokers: number, host, port, rack
        answer.skip(4).string()
        answer.skip(4).string()
    answer.string()  # id of the cluster
    answer.skip(8)  # controller, number of topics
    answer.skip(2).string()
    answer.skip(1)
    for _ in range(answer.int32()):
        error, number, leading = answer.int16(), answer.int32(), answer.int32()
        for _ in range(2):  # replicas, those in sync
            answer.skip(4 * answer.int32())
        if number == partition and error == 0:
            return leading
    return -1


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text.encode())) + text.encode()


class _Answer:
    """The bytes of an answer, read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def skip(self, count: int) -> _Answer:
        self._at += count
        return self

    def int16(self) -> int:
        return int(struct.unpack_from(">h", self._data, self.skip(2)._at - 2)[0])

    def int32(self) -> int:
        return int(struct.unpack_from(">i", self._data, self.skip(4)._at - 4)[0])

    def string(self) -> str:
        length = max(0, self.int16())
        return self.skip(length)._data[self._at - length : self._at].decode()


def _ask(port: int, key: int, version: int, body: bytes) -> _Answer | None:
    """Send one request; return the answer behind its correlation id, if there is one."""
    body = struct.pack(">hhih", key, version, 1, -1) + body
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as sock:
            sock.sendall(struct.pack(">i", len(body)) + body)
            (length,) = struct.unpack(">i", _exactly(sock, 4))
            return _Answer(_exactly(sock, length)[4:])
    except (OSError, EOFError):
        return None


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
