"""The simulated broker: a log in the process, with groups, transactions and faults on demand.

Theory.  A `MemoryBroker` is plain state and plain methods that never wait; `memory://NAME` finds it
in a registry of this process, where it stays (with its records) until `forget_broker`; `memory://`
is the one with the empty name.  A `MemoryTransport` is one client of it: what it does goes through
`Client.call`, where faults and hooks are, and which hands the event loop over once for each
request, as a network would.  Several event loops in several threads may share a broker: a lock
guards its state, and `Signal` wakes waiters on their own loop.

Query parts of the URL: ``auto_create=0`` turns off the creation of topics on first use.
"""

from faust.transport.drivers.memory.broker import MemoryBroker, find_broker, forget_broker
from faust.transport.drivers.memory.driver import MemoryTransport
from faust.transport.drivers.memory.faults import Faults, Request

__all__ = [
    "Faults",
    "MemoryBroker",
    "MemoryTransport",
    "Request",
    "Transport",
    "find_broker",
    "forget_broker",
]

#: Under this name every driver package publishes its transport.
Transport = MemoryTransport
