"""What type checkers make of records: constructors, fields and results (read, never run)."""

from typing import Any, assert_type

from faust.models import Model, Record, StringField
from faust.models.fields import IntegerField
from faust.models.tags import Secret
from faust.serializers import Registry, Schema
from faust.serializers.codecs import Codec, get_codec, json


class Order(Record, serializer="json", include_metadata=False):
    account: str
    amount: float
    items: int = 1


class Basket(Record, coerce=True, namespace="proj.Basket"):
    orders: list[Order]
    note: str | None = None


class Checked(Record, validation=True):
    age: int = IntegerField(min_value=0)  # type: ignore[assignment]
    name: str = StringField(max_length=10, default="")  # type: ignore[assignment]
    secret: Secret[str] | None = None


assert_type(Checked(age=3).age, int)
assert_type(Checked(age=3, name="x").secret, Secret[str] | None)

order = Order(account="a", amount=1.5)
assert_type(order, Order)
assert_type(order.account, str)
assert_type(order.items, int)
assert_type(Order("a", 1.5, 2), Order)
assert_type(Basket([order]).orders, list[Order])
assert_type(Basket([order], note="x").note, str | None)

assert_type(Order.loads(b""), Order)
assert_type(Order.from_data({}), Order)
assert_type(order.derive(items=2), Order)
assert_type(order.dumps(), bytes)
assert_type(order.asdict(), dict[str, Any])
assert_type(order.is_valid(), bool)
assert_type(order < Order("b", 1.0), bool)

Order(account=3, amount=1.0)  # type: ignore[arg-type]
Order(account="a")  # type: ignore[call-arg]
Order(account="a", amount=1.0, nothing=1)  # type: ignore[call-arg]


def takes_model(model: Model) -> bytes:
    return model.dumps(serializer="json|gzip")


takes_model(order)
assert_type(json() | json(), Codec)
get_codec("json").loads(b"1")
schema: Schema[str, Order] = Schema(key_type=str, value_type=Order)
assert_type(schema.derive(allow_empty=True), Schema[str, Order])
assert_type(Registry().value_dumper(Order)(order), bytes | None)
