"""Records in a module whose annotations are all text."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from faust.exceptions import ImproperlyConfigured
from faust.models import Record


class Line(Record):
    sku: str
    price: Decimal | None
    kind: ClassVar[str] = "line"


class Basket(Record):
    lines: list[Line]
    when: datetime
    parent: Basket | None
    later: Later | None = None
    more: Any = None


class Later(Record):
    basket: Basket | None = None


def test_text_annotations_are_read_as_types():
    assert Line._options.fields == {"sku": str, "price": Decimal | None}
    assert Line("a").price is None
    assert Line.kind == "line"


def test_records_that_name_each_other_survive_the_wire():
    inner = Basket([Line("a", Decimal("1.1"))], datetime(2024, 1, 1))
    outer = Basket([], datetime(2024, 1, 2), inner, Later(inner))
    assert Basket.loads(outer.dumps()) == outer
    assert Later.loads(Later(outer).dumps()) == Later(outer)


def test_names_of_the_surrounding_function_are_found():
    class Local(Record):
        x: int

    class Holder(Record):
        local: Local
        many: list[Local] = []

    assert Holder.loads(b'{"local":{"x":1},"many":[{"x":2}]}') == Holder(Local(1), [Local(2)])
    assert Holder.local.x.getattr(Holder(Local(3))) == 3


def test_a_bad_type_is_still_an_error_when_the_class_is_made():
    with pytest.raises(ImproperlyConfigured, match=r"class Bad, field 'odd': the type .*complex"):

        class Bad(Record):
            odd: list[complex]
