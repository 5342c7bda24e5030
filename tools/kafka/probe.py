"""Asks a broker who it knows, over a bare socket: the question that ends waiting for a start."""

from __future__ import annotations

import socket
import struct

#: Metadata, version 4: the oldest that Kafka 4 and every client of ours share.
_METADATA, _VERSION = 3, 4


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports of 127.0.0.1 that nobody listens on right now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def is_listening(port: int) -> bool:
    """Tell whether somebody accepts connections on ``port`` of 127.0.0.1."""
    with socket.socket() as sock:
        sock.settimeout(1.0)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def known_brokers(port: int) -> int:
    """Return how many live brokers the broker on ``port`` knows; 0 if it does not answer."""
    body = struct.pack(">hhih", _METADATA, _VERSION, 1, -1) + struct.pack(">i?", 0, False)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as sock:
            sock.sendall(struct.pack(">i", len(body)) + body)
            # Length, correlation id, throttle time, number of brokers.
            head = sock.recv(16, socket.MSG_WAITALL)
    except OSError:
        return 0
    return int(struct.unpack(">iiii", head)[3]) if len(head) == 16 else 0
