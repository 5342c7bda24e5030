"""What a record costs: decoding, making, writing, next to bare msgspec and dataclasses.

Run ``python benchmarks/records.py``; microseconds of processor time for one operation, the
best of five rounds.
``--check`` exits with status 1 where the decoding of a four-field record costs more than it may.
"""

from __future__ import annotations

import json
import sys
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from faust.models import Record
from faust.serializers import Registry

#: What decoding a four-field record may cost, in microseconds, and what it aims at.
LIMIT_MICROSECONDS, AIM_MICROSECONDS = 0.6, 0.35
ROUNDS, OPERATIONS = 5, 200_000


class Order(Record):
    account: str
    amount: float
    items: int
    note: str


class Line(Record):
    sku: str
    count: int


class Basket(Record):
    id: str
    lines: list[Line]
    first: Line | None = None


class Typed(Record):
    when: datetime
    price: Decimal
    id: int
    name: str = ""


class Coerced(Record, coerce=True):
    account: str
    amount: float
    items: int
    note: str


class Struct(msgspec.Struct):
    account: str
    amount: float
    items: int
    note: str


@dataclass
class Plain:
    account: str
    amount: float
    items: int
    note: str


def measure(name: str, function: Callable[..., Any], *args: Any) -> float:
    """Print and return the microseconds that one call takes."""
    names = {"function": function, "args": args}
    timer = timeit.Timer("function(*args)", globals=names, timer=time.process_time)
    best = min(timer.repeat(ROUNDS, OPERATIONS)) / OPERATIONS * 1e6
    print(f"  {name:<46}{best:8.3f}")
    return best


def decoding(registry: Registry, data: bytes) -> float:
    print("decode a four-field record")
    cost = measure("Registry.value_loader(Order)", registry.value_loader(Order), data)
    measure("Order.loads", Order.loads, data)
    measure("the same with coerce=True", registry.value_loader(Coerced), data)
    measure("untyped, rebuilt by __faust", registry.value_loader(None), data)
    measure("bare msgspec to a Struct", msgspec.json.Decoder(Struct).decode, data)
    measure("bare msgspec to a dataclass", msgspec.json.Decoder(Plain).decode, data)
    measure("bare msgspec to a dict", msgspec.json.Decoder().decode, data)
    measure("json.loads to a dict", json.loads, data)
    return cost


def others(registry: Registry, order: Order) -> None:
    basket = Basket("b", [Line("a", 1), Line("b", 2)], Line("c", 3))
    typed = Typed(datetime(2024, 1, 2), Decimal("1.10"), 1)
    print("decode other records")
    for value in (basket, typed):
        loader = registry.value_loader(type(value))
        measure(f"value_loader({type(value).__name__})", loader, value.dumps())
    print("encode")
    for record in (order, basket, typed):
        name = f"value_dumper({type(record).__name__})"
        measure(name, registry.value_dumper(type(record)), record)
    measure("value_dumper(None), an int", registry.value_dumper(None), 12345)
    measure("value_dumper(None), a dict", registry.value_dumper(None), {"a": 1, "b": "c"})
    print("keys")
    measure("key_loader(str)", registry.key_loader(str), b"account-1")
    measure("key_dumper(str)", registry.key_dumper(str), "account-1")
    measure("key_loader(None, 'json'), a tuple", registry.key_loader(None, "json"), b'["a",[1,2]]')
    measure("key_dumper(None, 'json'), text", registry.key_dumper(None, "json"), "account-1")
    measure("key_dumper(None, 'json'), a tuple", registry.key_dumper(None, "json"), ("a", (1, 2)))


def making() -> None:
    print("make and use (the call itself costs about 0.05)")
    measure("Order(4 positional)", lambda: Order("a", 1.0, 2, "n"))
    measure("Order(4 keywords)", lambda: Order(account="a", amount=1.0, items=2, note="n"))
    measure("dataclass(4 positional)", lambda: Plain("a", 1.0, 2, "n"))
    measure("Basket(with nested models)", lambda: Basket("b", []))
    order, plain = Order("a", 1.0, 2, "n"), Plain("a", 1.0, 2, "n")
    measure("order.account", lambda: order.account)
    measure("dataclass attribute", lambda: plain.account)
    measure("Order.account (the descriptor)", lambda: Order.account)
    measure("Order.account.getattr(order)", Order.account.getattr, order)  # type: ignore[attr-defined]
    measure("order.asdict()", order.asdict)
    measure("order.derive(note=...)", lambda: order.derive(note="m"))


def main() -> int:
    registry = Registry()
    order = Order(account="acc-12345", amount=12.5, items=3, note="hello world")
    cost = decoding(registry, order.dumps())
    others(registry, order)
    making()
    verdict = (
        "good" if cost <= AIM_MICROSECONDS else "allowed" if cost <= LIMIT_MICROSECONDS else "BAD"
    )
    print(
        f"four fields: {cost:.3f} us "
        f"(at most {LIMIT_MICROSECONDS}, aim {AIM_MICROSECONDS}): {verdict}"
    )
    return int("--check" in sys.argv and cost > LIMIT_MICROSECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
