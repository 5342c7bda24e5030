"""Whatever a record holds, it holds after a round trip."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from faust.models import Record
from faust.serializers import Registry
from faust.serializers.codecs import get_codec
from faust.utils import json


class Kind(Enum):
    A = "a"
    B = "b"


class Leaf(Record):
    text: str
    number: int = 0


class Tree(Record):
    ratio: float
    when: datetime
    day: date
    price: Decimal
    id: UUID
    data: bytes
    kind: Kind
    leaf: Leaf
    leaves: list[Leaf]
    by_name: dict[str, Leaf]
    maybe: Leaf | None
    numbers: tuple[int, ...]
    names: frozenset[str]


texts = st.text(st.characters(exclude_categories=["Cs"]))
integers = st.integers(-(2**63), 2**64 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
leaves = st.builds(Leaf, text=texts, number=integers)
trees = st.builds(
    Tree,
    ratio=floats,
    when=st.datetimes(timezones=st.just(UTC)),
    day=st.dates(),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    id=st.uuids(),
    data=st.binary(),
    kind=st.sampled_from(Kind),
    leaf=leaves,
    leaves=st.lists(leaves, max_size=3),
    by_name=st.dictionaries(texts, leaves, max_size=3),
    maybe=st.none() | leaves,
    numbers=st.lists(integers, max_size=3).map(tuple),
    names=st.frozensets(texts, max_size=3),
)
plain_json = st.recursive(
    st.none() | st.booleans() | integers | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)

REGISTRY = Registry()
LOAD, DUMP = REGISTRY.value_loader(Tree), REGISTRY.value_dumper(Tree)


@settings(max_examples=60, deadline=None)
@given(trees)
def test_every_way_of_a_record_to_bytes_and_back_gives_an_equal_record(tree):
    data = DUMP(tree)
    assert data == REGISTRY.dumps_value(Tree, tree) == tree.dumps()
    assert LOAD(data) == REGISTRY.loads_value(Tree, data) == Tree.loads(data) == tree
    assert Tree.from_data(json.loads(data)) == tree
    assert Tree.from_data(tree.to_representation()) == tree
    assert REGISTRY.value_loader(None)(data) == tree
    assert tree.derive() == tree


@settings(max_examples=60, deadline=None)
@given(plain_json, st.sampled_from(["json", "json|gzip", "json|binary", "json|gzip|binary"]))
def test_plain_values_survive_every_text_codec(value, name):
    codec = get_codec(name)
    assert codec.loads(codec.dumps(value)) == value


@settings(max_examples=60, deadline=None)
@given(st.binary(), st.sampled_from(["raw", "binary", "gzip", "gzip|binary", "raw|gzip"]))
def test_bytes_survive_every_byte_codec(data, name):
    codec = get_codec(name)
    assert codec.loads(codec.dumps(data)) == data


def turned_round(names):
    """Return an equal set that was built in another order."""
    result = set()
    for name in reversed(list(names)):
        result.add(name)
    return result


def as_key(value):
    return tuple(as_key(item) for item in value) if isinstance(value, list) else value


keys = st.recursive(
    st.booleans() | integers | floats | texts,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
).map(as_key)


@settings(max_examples=100, deadline=None)
@given(keys)
def test_table_keys_survive_as_what_they_were_tuples_included(key):
    dump, load = REGISTRY.key_dumper(None, "json"), REGISTRY.key_loader(None, "json")
    assert load(dump(key)) == key
    assert (
        REGISTRY.loads_key(
            None, REGISTRY.dumps_key(None, key, serializer="json"), serializer="json"
        )
        == key
    )
    assert dump(key) == REGISTRY.dumps_key(None, key, serializer="json")
    hash(load(dump(key)))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(texts, integers, max_size=5), st.sets(texts, max_size=5))
def test_equal_keys_give_equal_bytes_whatever_the_order_they_were_built_in(table, names):
    dump = REGISTRY.key_dumper(None, "json")
    turned = dict(reversed(list(table.items())))
    assert dump(table) == dump(turned)
    assert dump(names) == dump(turned_round(names))


class Keyed(Record):
    table: dict[str, int]
    names: set[str]
    leaf: Leaf


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(texts, integers, max_size=5), st.sets(texts, max_size=5), leaves)
def test_equal_records_as_keys_give_equal_bytes(table, names, leaf):
    dump = REGISTRY.key_dumper(Keyed)
    turned = Keyed(dict(reversed(list(table.items()))), turned_round(names), leaf)
    data = dump(Keyed(table, names, leaf))
    assert dump(turned) == data
    assert REGISTRY.key_loader(Keyed)(data) == turned
