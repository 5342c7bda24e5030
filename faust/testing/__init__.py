"""What tests of applications, drivers and of this library use: virtual time, a broker, suites."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faust.testing.apps import running
    from faust.testing.broker import Faults, MemoryBroker, memory_broker
    from faust.testing.clock import DeadlockError, VirtualClock, VirtualLoop, run_virtual
    from faust.testing.plan import Plan
    from faust.testing.proxy import TcpProxy
    from faust.testing.trial import Outcome, Report, seeds, simulate

__all__ = [
    "DeadlockError",
    "Faults",
    "MemoryBroker",
    "Outcome",
    "Plan",
    "Report",
    "TcpProxy",
    "VirtualClock",
    "VirtualLoop",
    "memory_broker",
    "run_virtual",
    "running",
    "seeds",
    "simulate",
]

_HOMES = {
    "DeadlockError": "clock",
    "Faults": "broker",
    "MemoryBroker": "broker",
    "Outcome": "trial",
    "Plan": "plan",
    "Report": "trial",
    "TcpProxy": "proxy",
    "VirtualClock": "clock",
    "VirtualLoop": "clock",
    "memory_broker": "broker",
    "run_virtual": "clock",
    "running": "apps",
    "seeds": "trial",
    "simulate": "trial",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
