"""Records: made, read, written, compared, copied."""

import copy
import pickle
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, ClassVar, Generic, Literal, NamedTuple, Optional, TypeVar
from uuid import UUID, uuid4

import msgspec
import pytest

import faust.models.base
from faust.exceptions import FaustError, ImproperlyConfigured, ValidationError
from faust.models import FieldDescriptor, Model, ModelOptions, Record, maybe_model, registry


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Order(Record):
    account: str
    amount: float
    items: int
    note: str


class Line(Record):
    sku: str
    count: int = 1


class Basket(Record):
    lines: list[Line]
    by_sku: dict[str, Line] = {}
    first: Line | None = None


class Everything(Record):
    when: datetime
    day: date
    price: Decimal
    id: UUID
    data: bytes
    color: Color
    level: Level
    tags: set[str]
    pair: tuple[int, str]
    many: tuple[int, ...]
    options: Mapping[str, int]
    numbers: Sequence[float]
    queue: deque[int]
    kind: Literal["a", "b"]
    either: int | str | None
    anything: Any


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Box:
    width: int
    height: int = 1


class Shapes(Record):
    point: Point
    box: Box


class Node(Record):
    value: int
    child: Optional["Node"] = None
    others: list["Node"] = []


def everything() -> Everything:
    return Everything(
        when=datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        day=date(2024, 1, 2),
        price=Decimal("12.30"),
        id=uuid4(),
        data=b"\x00\xff",
        color=Color.BLUE,
        level=Level.HIGH,
        tags={"x"},
        pair=(1, "a"),
        many=(1, 2, 3),
        options={"a": 1},
        numbers=[1.5, 2.0],
        queue=deque([1, 2]),
        kind="b",
        either="text",
        anything={"a": [1, None]},
    )


# -- making ----------------------------------------------------------------------------------------


def test_fields_are_given_by_position_and_by_name():
    order = Order("a", 1.5, items=2, note="n")
    assert (order.account, order.amount, order.items, order.note) == ("a", 1.5, 2, "n")


def test_missing_and_unknown_arguments_are_type_errors():
    with pytest.raises(TypeError, match="note"):
        Order("a", 1.5, 2)
    with pytest.raises(TypeError, match="nothing"):
        Order("a", 1.5, 2, "n", nothing=1)


def test_construction_does_not_check_types():
    assert Order(account=3, amount="x", items=None, note=b"").account == 3


def test_mutable_defaults_are_not_shared():
    class Shared(Record):
        numbers: list[int] = []
        more: list[int] = [1, 2]
        table: dict[str, list[int]] = {"a": [1]}
        line: Line = Line("x")

    one, two = Shared(), Shared()
    one.numbers.append(1)
    one.more.append(3)
    one.table["a"].append(2)
    one.line.count = 100
    assert (two.numbers, two.more, two.table, two.line.count) == ([], [1, 2], {"a": [1]}, 1)


def test_optional_fields_are_none_if_not_given():
    class Maybe(Record):
        a: int
        b: int | None
        c: int | None
        d: "str | None"

    assert Maybe(1) == Maybe(a=1, b=None, c=None, d=None)
    assert Maybe._options.optionalset == {"b", "c", "d"}


def test_a_required_field_behind_a_default_is_refused_in_one_class():
    with pytest.raises(TypeError, match=r"class Wrong.*'b' follows 'a'"):

        class Wrong(Record):
            a: int = 1
            b: int


def test_required_fields_come_first_whatever_class_they_are_from():
    class Base(Record):
        a: int
        b: int = 2

    class Sub(Base):
        c: int
        d: int = 4

    assert Sub._options.fieldpos == {0: "a", 1: "c", 2: "b", 3: "d"}
    made = Sub(1, 3, 20)
    assert (made.a, made.b, made.c, made.d) == (1, 20, 3, 4)
    assert Sub.loads(made.dumps()) == made
    with pytest.raises(TypeError, match="by name and position"):
        Sub(1, 3, a=1)
    with pytest.raises(TypeError, match="at most 4"):
        Sub(1, 2, 3, 4, 5)
    with pytest.raises(TypeError):
        Sub(1)
    assert pickle.loads(pickle.dumps(PickledSub(1, 3))) == PickledSub(1, 3)


class PickledBase(Record):
    a: int
    b: int = 2


class PickledSub(PickledBase):
    c: int


def test_a_subclass_has_the_fields_and_descriptors_of_its_bases():
    class Special(Order):
        extra: int = 0

    assert Special("a", 1.0, 2, "n").extra == 0
    assert Special.account.ident == "Special.account"
    assert Order.account.ident == "Order.account"
    assert list(Special._options.fields) == ["account", "amount", "items", "note", "extra"]


def test_a_subclass_may_change_a_default():
    class Sub(Line):
        sku: str = "none"

    assert Sub() == Sub(sku="none", count=1)
    assert Sub.loads(b"{}") == Sub()


def test_class_variables_and_methods_are_no_fields():
    class WithMore(Record):
        limit: ClassVar[int] = 3
        other: "ClassVar[int]" = 4
        value: int
        unannotated = 5

        def double(self) -> int:
            return self.value * 2

        @property
        def half(self) -> float:
            return self.value / 2

    assert list(WithMore._options.fields) == ["value"]
    assert (WithMore(4).double(), WithMore(4).half, WithMore.limit) == (8, 2, 3)


def test_nested_models_may_be_given_as_dicts():
    basket = Basket([{"sku": "a"}, Line("b")], by_sku={"c": {"sku": "c"}}, first={"sku": "d"})
    assert basket.lines == [Line("a"), Line("b")]
    assert basket.by_sku == {"c": Line("c")}
    assert basket.first == Line("d")


def test_a_list_of_models_is_kept_as_the_list_it_is():
    lines = [Line("a")]
    assert Basket(lines).lines is lines


def test_an_instance_takes_attributes_that_are_no_fields():
    order = Order("a", 1.0, 1, "n")
    order.seen = True
    assert order.seen
    assert "seen" not in order.asdict()


def test_post_init_runs_however_an_instance_is_made():
    class Total(Record):
        a: int
        total: int = 0

        def __post_init__(self) -> None:
            self.total = self.a * 2

    assert Total(2).total == 4
    assert Total.loads(b'{"a":3}').total == 6


def test_an_abstract_class_cannot_be_instantiated_and_its_subclass_can():
    class Shape(Record, abstract=True):
        name: str

    class Circle(Shape):
        radius: float

    with pytest.raises(NotImplementedError, match="Shape is abstract"):
        Shape("x")
    assert Circle("c", 1.0).radius == 1.0


def test_models_are_made_by_calling_type():
    made = type("Made", (Record,), {"__annotations__": {"a": int}, "__module__": __name__})
    assert made(1).a == 1
    assert made.loads(b'{"a":2}').a == 2


def test_generic_records():
    T = TypeVar("T")

    class Page(Record, Generic[T]):
        items: list[T]
        total: int = 0

    assert Page([1]).items == [1]
    assert Page.loads(b'{"items":["a"]}').items == ["a"]


def test_a_record_may_hold_itself():
    tree = Node(1, Node(2), [Node(3)])
    assert Node.loads(tree.dumps()) == tree
    assert Node._options.native


def test_a_record_may_name_one_that_is_defined_later():
    class Early(Record):
        later: "Later"
        name: str = ""

    class Later(Record):
        x: int

    globals()["Later"] = Later
    try:
        assert Early({"x": 1}).later == Later(1)
        assert Early.loads(b'{"later":{"x":2}}').later == Later(2)
    finally:
        del globals()["Later"]


def test_a_name_that_is_never_defined_is_said_when_the_class_is_used():
    class Dangling(Record):
        x: "NowhereDefined"  # noqa: F821

    with pytest.raises(ImproperlyConfigured, match=r"Dangling.*NowhereDefined"):
        Dangling(1)


# -- comparing and copying -------------------------------------------------------------------------


def test_equality_order_and_hash_are_by_fields_and_class():
    a, b = Order("a", 1.0, 1, "n"), Order("b", 1.0, 1, "n")
    assert a == Order("a", 1.0, 1, "n")
    assert a != b
    assert a < b <= b
    assert b > a
    assert len({a, b, Order("a", 1.0, 1, "n")}) == 2

    class Twin(Record):
        account: str
        amount: float
        items: int
        note: str

    assert a != Twin("a", 1.0, 1, "n")
    with pytest.raises(TypeError):
        assert a < Twin("a", 1.0, 1, "n")


def test_repr_shows_the_fields():
    assert repr(Line("a")) == "<Line: sku='a', count=1>"


def through_pickle(obj):
    return pickle.loads(pickle.dumps(obj))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, through_pickle])
def test_copies_are_equal(again):
    basket = Basket([Line("a")], first=Line("b"))
    assert again(basket) == basket
    assert again(basket) is not basket


def test_derive_changes_some_fields():
    order = Order("a", 1.0, 1, "n")
    assert order.derive(note="m") == Order("a", 1.0, 1, "m")
    assert order.derive(Order("q", 2.0, 2, "q"), items=9) == Order("q", 2.0, 9, "q")
    assert order == Order("a", 1.0, 1, "n")


def test_derive_keeps_excluded_and_renamed_fields():
    class Hidden(Record):
        a: int = FieldDescriptor(exclude=True)
        b: int = FieldDescriptor(input_name="B")

    assert Hidden(1, 2).derive(b=3) == Hidden(1, 3)


# -- data and bytes --------------------------------------------------------------------------------


def test_a_record_survives_the_wire():
    made = everything()
    again = Everything.loads(made.dumps())
    assert again == made
    assert isinstance(again.color, Color)
    assert isinstance(again.queue, deque)
    assert isinstance(again.pair, tuple)
    assert Everything._options.native


def test_a_record_survives_as_data():
    made = everything()
    assert Everything.from_data(made.to_representation()) == made
    assert Everything.from_data(made.asdict()) == made


def test_named_tuples_and_dataclasses_are_fields_too():
    shapes = Shapes(Point(1, 2), Box(3))
    assert Shapes.loads(shapes.dumps()) == shapes


def test_nested_records_survive_and_each_names_its_class():
    basket = Basket([Line("a")], by_sku={"b": Line("b")}, first=Line("c"))
    data = msgspec.json.decode(basket.dumps())
    assert data["lines"][0]["__faust"] == {"ns": f"{__name__}.Line"}
    assert data["by_sku"]["b"]["__faust"] == {"ns": f"{__name__}.Line"}
    assert data["__faust"] == {"ns": f"{__name__}.Basket"}
    assert Basket.loads(basket.dumps()) == basket
    assert Basket._options.native


def test_metadata_names_the_class_and_can_be_left_out():
    class Bare(Record, include_metadata=False):
        a: int

    class Named(Record, namespace="proj.Named"):
        a: int

    class Empty(Record, namespace="proj.Empty"):
        pass

    assert Bare(1).dumps() == b'{"a":1}'
    assert Bare(1).to_representation() == {"a": 1}
    assert Named(1).dumps() == b'{"a":1,"__faust":{"ns":"proj.Named"}}'
    assert Named(1).to_representation() == {"a": 1, "__faust": {"ns": "proj.Named"}}
    assert Empty().dumps() == b'{"__faust":{"ns":"proj.Empty"}}'
    assert registry["proj.Named"] is Named


def test_the_later_class_of_one_namespace_wins():
    class First(Record, namespace="proj.Twice"):
        a: int

    class Second(Record, namespace="proj.Twice"):
        a: int

    assert registry["proj.Twice"] is Second


def test_maybe_model_rebuilds_what_names_a_model():
    assert maybe_model(Line("a").to_representation()) == Line("a")
    assert maybe_model({"a": 1}) == {"a": 1}
    assert maybe_model([1]) == [1]
    with pytest.raises(KeyError):
        maybe_model({"__faust": {"ns": "nobody.Knows"}})


def test_asdict_is_shallow_and_can_be_prepared():
    class Prepared(Record):
        line: Line

        def _prepare_dict(self, payload):
            payload["extra"] = 1
            return payload

    made = Prepared(Line("a"))
    assert made.asdict() == {"line": Line("a"), "extra": 1}
    assert msgspec.json.decode(made.dumps())["extra"] == 1


def test_unknown_keys_are_ignored_and_the_mapping_is_left_alone():
    data = {"sku": "a", "unknown": 1, "__faust": {"ns": "x"}}
    before = copy.deepcopy(data)
    assert Line.from_data(data) == Line("a")
    assert data == before


def test_an_instance_given_to_from_data_is_returned():
    line = Line("a")
    assert Line.from_data(line) is line


def test_input_and_output_names():
    class Renamed(Record):
        user: str = FieldDescriptor(input_name="userName")
        id: int = FieldDescriptor(input_name="in", output_name="out")
        hidden: int = FieldDescriptor(exclude=True, default=3)

    made = Renamed.loads(b'{"userName":"x","in":1}')
    assert made == Renamed("x", 1)
    assert made.asdict() == {"userName": "x", "out": 1}
    assert msgspec.json.decode(made.dumps())["out"] == 1
    data = {"in": 1}
    with pytest.raises(ValidationError, match=r"Renamed\.user: is required"):
        Renamed.from_data(data)
    assert data == {"in": 1}


def test_a_value_of_the_wrong_type_is_named_with_its_field():
    with pytest.raises(ValidationError, match=r"Order\.amount.*float"):
        Order.loads(b'{"account":"a","amount":"x","items":1,"note":""}')
    with pytest.raises(ValidationError, match=r"Order\.note: is required"):
        Order.from_data({"account": "a", "amount": 1, "items": 1})
    with pytest.raises(ValidationError) as caught:
        Order.loads(b'{"account":null,"amount":1,"items":1,"note":""}')
    assert caught.value.field.field == "account"
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, FaustError)
    with pytest.raises(TypeError, match="Order cannot be made from list"):
        Order.from_data([1])


def test_null_gives_the_default_where_there_is_one():
    assert Line.loads(b'{"sku":"a","count":null}') == Line("a", 1)
    assert Basket.loads(b'{"lines":[{"sku":"a","count":null}],"first":null}').lines == [Line("a")]


def test_a_default_of_none_takes_null_back():
    class Loose(Record):
        x: str = None

    assert Loose.loads(Loose().dumps()) == Loose(None)
    assert Loose._options.native


def test_the_class_serializer_wins_over_the_argument_in_loads_and_loses_in_dumps():
    class Zipped(Record, serializer="json|gzip"):
        a: int

    assert Zipped(1).dumps()[:2] == b"\x1f\x8b"
    assert Zipped.loads(Zipped(1).dumps(), serializer="json") == Zipped(1)
    assert Zipped(1).dumps(serializer="json").startswith(b'{"a":1')


def test_overridden_from_data_is_what_loading_goes_through():
    class Upper(Record):
        name: str

        @classmethod
        def from_data(cls, data, *, preferred_type=None):
            return super().from_data({**data, "name": data["name"].upper()})

    class Holder(Record):
        inner: Upper

    assert Upper.loads(b'{"name":"x"}') == Upper("X")
    assert Holder.loads(b'{"inner":{"name":"y"}}') == Holder(Upper("Y"))


def test_overridden_to_representation_is_what_dumping_goes_through():
    class Versioned(Record, include_metadata=False):
        a: int

        def to_representation(self):
            return {"v": 2, **super().to_representation()}

    class Outer(Record, include_metadata=False):
        inner: Versioned

    assert Versioned(1).dumps() == b'{"v":2,"a":1}'
    assert Outer(Versioned(1)).dumps() == b'{"inner":{"v":2,"a":1}}'


# -- unions and subclasses -------------------------------------------------------------------------


class Cat(Record):
    lives: int


class Dog(Record):
    lives: int


class Owner(Record):
    pet: Cat | Dog
    when: datetime | str | None = None


def test_a_union_of_models_is_told_apart_by_metadata():
    for pet in (Cat(1), Dog(2)):
        assert Owner.loads(Owner(pet).dumps()) == Owner(pet)
    assert Owner.from_data({"pet": {"lives": 3}}).pet == Cat(3)
    with pytest.raises(ValidationError, match=r"Owner\.pet"):
        Owner.from_data({"pet": {"x": 3}})


def test_a_union_that_json_cannot_tell_apart_takes_the_first_that_fits():
    assert Owner.from_data({"pet": {"lives": 1}, "when": "never"}).when == "never"
    read = Owner.from_data({"pet": {"lives": 1}, "when": "2024-01-02T03:04:05Z"})
    assert read.when == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


class Animal(Record, allow_blessed_key=True):
    name: str


class Horse(Animal):
    speed: int


class Stable(Record):
    animals: list[Animal]


class Base(Record):
    name: str


class Derived(Base):
    more: int


class Container(Record, polymorphic_fields=True):
    item: Base
    items: list[Base] = []


class Shape(Record, abstract=True):
    name: str


class Square(Shape):
    side: int


def test_polymorphic_fields_work_on_the_model_that_contains_them():
    made = Container(Derived("a", 1), [Base("b"), Derived("c", 2)])
    assert Container.loads(made.dumps()) == made


def test_blessed_classes_are_read_as_the_subclass_that_is_named():
    stable = Stable([Horse("h", 10), Animal("a")])
    assert Stable.loads(stable.dumps()) == stable
    assert Animal.loads(Horse("h", 10).dumps()) == Horse("h", 10)


def test_other_classes_are_read_as_what_they_are():
    assert Base.loads(Derived("a", 1).dumps()) == Base("a")


def test_an_abstract_class_is_read_as_what_is_named():
    assert Shape.loads(Square("s", 2).dumps()) == Square("s", 2)
    with pytest.raises(TypeError, match="names no subclass"):
        Shape.from_data({"name": "x"})
    with pytest.raises(TypeError, match="not known here"):
        Shape.from_data({"name": "x", "__faust": {"ns": "not.Known"}})


def test_a_named_class_that_is_no_subclass_is_refused():
    with pytest.raises(TypeError, match="which is no Animal"):
        Animal.from_data({"name": "x", "__faust": {"ns": f"{__name__}.Order"}})


# -- definition ------------------------------------------------------------------------------------


class Strange:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x

    def __json__(self):
        return self.x


@pytest.mark.parametrize(
    "annotation", [Strange, list[Strange], dict[str, Strange], Strange | None, complex, type]
)
def test_a_type_that_cannot_be_handled_is_named_with_class_and_field(annotation):
    with pytest.raises(ImproperlyConfigured, match=r"class Bad, field 'odd': the type .+ cannot"):
        type("Bad", (Record,), {"__annotations__": {"odd": annotation}, "__module__": __name__})


def test_coercions_make_types_that_are_not_known():
    class Coerced(Record, coercions={Strange: Strange}):
        one: Strange
        many: list[Strange] = []

    made = Coerced(Strange(1), [Strange(2)])
    assert Coerced.loads(made.dumps()) == made

    class Inheriting(Coerced, coercions={complex: complex}):
        c: Strange = Strange(4)

    assert Inheriting.loads(b'{"one":1}').one == Strange(1)


def test_an_unknown_class_option_is_refused_with_a_suggestion():
    with pytest.raises(ImproperlyConfigured, match=r"class Odd.*'serialiser'; did you mean"):

        class Odd(Record, serialiser="json"):
            pass


def test_options_may_be_an_inner_class_and_are_inherited():
    class Parent(Record):
        a: int

        class Options:
            include_metadata = False
            serializer = "json"

    class Child(Parent):
        b: int

    assert Child(1, 2).dumps() == b'{"a":1,"b":2}'
    assert Child._options.serializer == "json"
    assert Child._options.namespace.endswith("Child")
    assert isinstance(Child._options, ModelOptions)


def test_descriptors_name_and_read_fields_also_nested_ones():
    class Inner(Record):
        name: str

    class Outer(Record):
        inner: Inner
        maybe: Inner | None = None

    outer = Outer(Inner("x"))
    assert Outer.inner.ident == "Outer.inner"
    assert Outer.inner.getattr(outer) == Inner("x")
    assert Outer.inner.name.ident == "Outer.inner.name"
    assert Outer.inner.name.getattr(outer) == "x"
    assert Outer.maybe.name.field == "name"
    assert Outer.inner.model is Outer
    with pytest.raises(AttributeError, match="nothing"):
        _ = Outer.inner.nothing
    with pytest.raises(AttributeError):
        _ = Outer.nothing


def test_lazy_creation_reads_annotations_when_asked_to():
    class Lazy(Record, lazy_creation=True):
        odd: Strange

    with pytest.raises(ImproperlyConfigured):
        Lazy.make_final()


def test_record_is_a_model_and_both_are_exported():
    assert issubclass(Record, Model)
    assert faust.models.base.registry is registry


def test_a_constructor_of_its_own_is_refused_with_what_to_do_instead():
    with pytest.raises(ImproperlyConfigured, match=r"class Old defines __init__.*__post_init__"):

        class Old(Record):
            a: int

            def __init__(self, a):
                self.a = a


def test_mixins_without_fields_work():
    class Greets:
        def greet(self):
            return f"hello {self.name}"

    class Person(Greets, Record):
        name: str

    assert Person("x").greet() == "hello x"
    assert Person.loads(Person("y").dumps()).greet() == "hello y"


def test_replacing_a_method_of_record_changes_what_is_written(monkeypatch):
    def represent(self):
        return {"replaced": self.asdict(), "ns": self._options.namespace}

    monkeypatch.setattr(Record, "to_representation", represent, raising=False)

    class Patched(Record, namespace="proj.Patched"):
        a: int

    assert Patched(1).dumps() == b'{"replaced":{"a":1},"ns":"proj.Patched"}'


def test_records_can_be_referred_to_weakly():
    line = Line("a")
    assert weakref.ref(line)() is line


def test_a_model_may_be_made_a_dataclass_and_use_fields_of_dataclasses() -> None:
    """As packages do that make schemas from dataclasses."""

    class Order(Record):
        name: str = field()
        tags: list[str] = field(default_factory=lambda: ["new"])
        count: int = field(default=1)

    assert dataclass(Order) is Order
    assert [each.name for each in fields(Order)] == ["name", "tags", "count"]
    one, other = Order("a"), Order("a")
    one.tags.append("old")
    assert (other.tags, other.count) == (["new"], 1)
    with pytest.raises(TypeError):
        Order()  # type: ignore[call-arg]
    match one:
        case Order(name, tags, count):
            assert (name, tags, count) == ("a", ["new", "old"], 1)
