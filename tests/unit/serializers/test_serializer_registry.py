"""The registry: which codec, which type, the compiled functions and the complete ones."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from faust.exceptions import ImproperlyConfigured, KeyDecodeError, SecurityWarning, ValueDecodeError
from faust.models import Record
from faust.serializers import Codec, Registry
from faust.serializers.codecs import json


class Order(Record, namespace="registry.Order"):
    account: str
    amount: float
    note: str = ""


class Zipped(Record, serializer="json|gzip", namespace="registry.Zipped"):
    a: int


@dataclass
class Box:
    width: int


@pytest.fixture
def registry():
    return Registry()


def order_bytes(**changes: Any) -> bytes:
    return msgspec.json.encode({"account": "a", "amount": 1.5, "note": "", **changes})


def both_loads_value(registry, typ, data, **kwargs):
    """Decode in both ways; they must agree."""
    complete = registry.loads_value(typ, data, **kwargs)
    compiled = registry.value_loader(typ, kwargs.get("serializer"))(data)
    assert compiled == complete
    assert type(compiled) is type(complete)
    return complete


def both_dumps_value(registry, typ, value, **kwargs):
    complete = registry.dumps_value(typ, value, **kwargs)
    assert registry.value_dumper(typ, kwargs.get("serializer"))(value) == complete
    return complete


def both_loads_key(registry, typ, data, **kwargs):
    complete = registry.loads_key(typ, data, **kwargs)
    assert registry.key_loader(typ, kwargs.get("serializer"))(data) == complete
    return complete


def both_dumps_key(registry, typ, key, **kwargs):
    complete = registry.dumps_key(typ, key, **kwargs)
    assert registry.key_dumper(typ, kwargs.get("serializer"))(key) == complete
    return complete


# -- values ----------------------------------------------------------------------------------------


def test_the_loader_of_a_plain_record_is_the_c_decoder_itself(registry):
    loader = registry.value_loader(Order)
    assert type(loader) is type(msgspec.json.Decoder(Order).decode)
    assert loader(order_bytes()) == Order("a", 1.5)


@pytest.mark.parametrize(
    ("typ", "data", "value"),
    [
        (Order, order_bytes(), Order("a", 1.5)),
        (int, b"3", 3),
        (int, b'"3"', 3),
        (float, b"3", 3.0),
        (Decimal, b'"1.10"', Decimal("1.10")),
        (str, b'"abc"', "abc"),
        (bytes, b"\x00abc", b"\x00abc"),
        (list[int], b"[1]", [1]),
        (dict[str, Order], b'{"a":' + order_bytes() + b"}", {"a": Order("a", 1.5)}),
        (Box, b'{"width":1}', Box(1)),
        (None, b'{"a":1}', {"a": 1}),
        (None, b"hello", b"hello"),
        (None, b"\xff", b"\xff"),
        (None, b'"text"', "text"),
        (None, b"", b""),
        (None, Order("z", 1).dumps(), Order("z", 1)),
        (
            None,
            b'{"__faust":{"ns":"unknown.Model"},"a":1}',
            {"__faust": {"ns": "unknown.Model"}, "a": 1},
        ),
        (None, b'{"__faust":3}', {"__faust": 3}),
    ],
)
def test_values_are_read(registry, typ, data, value):
    assert both_loads_value(registry, typ, data) == value


@pytest.mark.parametrize(
    ("typ", "value", "data"),
    [
        (None, None, None),
        (Order, None, None),
        (int, None, None),
        (None, b"\x00", b"\x00"),
        (Order, b"raw", b"raw"),
        (str, "abc", b'"abc"'),
        (None, "abc", b'"abc"'),
        (bytes, "abc", b"abc"),
        (None, 3, b"3"),
        (None, True, b"true"),
        (None, {"b": 1, "a": 2}, b'{"b":1,"a":2}'),
        (None, [Order("a", 1.0)], b"[" + Order("a", 1.0).dumps() + b"]"),
        (Order, Order("a", 1.0), Order("a", 1.0).dumps()),
        (None, Order("a", 1.0), Order("a", 1.0).dumps()),
        (Order, Zipped(1), Zipped(1).dumps()),
        (Order, {"account": "a"}, b'{"account":"a"}'),
        (Zipped, Zipped(1), Zipped(1).dumps()),
    ],
)
def test_values_are_written(registry, typ, value, data):
    assert both_dumps_value(registry, typ, value) == data


def test_there_is_no_leniency_with_a_type_or_a_codec(registry):
    for typ, serializer in ((str, None), (Order, None), (None, "json"), (int, "json")):
        with pytest.raises(ValueDecodeError):
            registry.loads_value(typ, b"hello", serializer=serializer)
        with pytest.raises((ValueError, TypeError)):
            registry.value_loader(typ, serializer)(b"hello")


def test_an_unknown_model_is_an_error_where_a_codec_was_named(registry):
    data = b'{"__faust":{"ns":"unknown.Model"}}'
    with pytest.raises(ValueDecodeError, match=r"unknown\.Model"):
        registry.loads_value(None, data, serializer="json")


def test_the_error_says_type_field_reason_and_payload(registry):
    with pytest.raises(ValueDecodeError) as caught:
        registry.loads_value(Order, order_bytes(amount="x" * 200))
    message = str(caught.value)
    assert "Order.amount" in message
    assert "float" in message
    assert '{"account":"a"' in message
    assert len(message) < 300


def test_an_empty_value_is_an_error_only_where_there_is_a_type_and_it_is_not_allowed(registry):
    assert registry.value_loader(None)(None) is None
    assert registry.value_loader(None, "json")(None) is None
    for typ in (Order, Zipped, int, bytes, str):
        loader = registry.value_loader(typ)
        with pytest.raises(Exception) as caught:
            loader(None)
        with pytest.raises(ValueDecodeError, match="allow_empty"):
            registry.retry_value(typ, None, caught.value)
        assert registry.value_loader(typ, allow_empty=True)(None) is None
        assert registry.retry_value(typ, None, caught.value, allow_empty=True) is None


def test_trying_again_succeeds_where_only_the_complete_way_does(registry):
    data = order_bytes(note=None)
    with pytest.raises(msgspec.ValidationError) as caught:
        registry.value_loader(Order)(data)
    assert registry.retry_value(Order, data, caught.value) == Order("a", 1.5)


def test_trying_again_explains_what_cannot_be_read(registry):
    with pytest.raises(msgspec.DecodeError) as caught:
        registry.value_loader(Order)(b"{")
    with pytest.raises(ValueDecodeError, match="cannot decode the value as Order"):
        registry.retry_value(Order, b"{", caught.value)
    own = ValueDecodeError("mine")
    with pytest.raises(ValueDecodeError, match="mine"):
        registry.retry_value(Order, b"{", own)
    with pytest.raises(KeyDecodeError, match="key as int"):
        registry.retry_key(int, b"x", ValueError())


def test_the_model_serializer_wins_over_the_argument(registry):
    data = Zipped(1).dumps()
    assert registry.dumps_value(Zipped, Zipped(1), serializer="json") == data
    assert both_loads_value(registry, Zipped, data, serializer="json") == Zipped(1)


def test_other_codecs_have_compiled_functions_too(registry):
    for name in ("json|gzip", "json|binary"):
        for typ, value in ((Order, Order("a", 1.0)), (None, [1]), (int, 3)):
            data = both_dumps_value(registry, typ, value, serializer=name)
            assert both_loads_value(registry, typ, data, serializer=name) == value
    assert both_loads_value(registry, str, b"abc", serializer="raw") == "abc"
    assert both_loads_value(registry, None, b"abc", serializer="raw") == b"abc"


def test_models_nested_in_a_value_keep_their_names_in_every_codec(registry):
    class Outer(Record):
        inner: Order

    data = registry.dumps_value(Outer, Outer(Order("a", 1.0)), serializer="json|gzip")
    plain = registry.loads_value(dict, data, serializer="json|gzip")
    assert plain["inner"]["__faust"] == {"ns": "registry.Order"}


def test_the_default_codec_of_the_registry_is_used():
    zipped = Registry(value_serializer="json|gzip")
    data = both_dumps_value(zipped, None, [1])
    assert data[:2] == b"\x1f\x8b"
    assert both_loads_value(zipped, None, data) == [1]
    assert both_loads_value(zipped, int, both_dumps_value(zipped, int, 3)) == 3


def test_a_pickle_default_warns_once():
    registry = Registry(value_serializer="pickle")
    with pytest.warns(SecurityWarning):
        data = registry.dumps_value(None, {1})
    assert registry.loads_value(None, data) == {1}


def test_what_cannot_be_decoded_is_said_when_the_loader_is_made(registry):
    with pytest.raises(ImproperlyConfigured, match="no codec named 'nope'"):
        registry.value_loader(Order, "nope")
    with pytest.raises(ImproperlyConfigured, match="cannot be decoded"):
        registry.value_loader(Order | Zipped)


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typ", "serializer", "data", "key"),
    [
        (None, None, b"abc", b"abc"),
        (bytes, None, b'"abc"', b'"abc"'),
        (str, None, b"abc", "abc"),
        (int, None, b"3", 3),
        (None, "json", b'"abc"', "abc"),
        (None, "json", b'["k",[1000.0,1009.9]]', ("k", (1000.0, 1009.9))),
        (str, "json", b'"abc"', "abc"),
        (tuple[str, int], "json", b'["a",1]', ("a", 1)),
        (Order, None, order_bytes(), Order("a", 1.5)),
        (str, None, None, None),
        (Order, None, None, None),
        (None, "json", None, None),
    ],
)
def test_keys_are_read(registry, typ, serializer, data, key):
    assert both_loads_key(registry, typ, data, serializer=serializer) == key


@pytest.mark.parametrize(
    ("typ", "serializer", "key", "data"),
    [
        (None, None, None, None),
        (Order, "json", None, None),
        (None, None, b"abc", b"abc"),
        (None, None, "abc", b"abc"),
        (bytes, None, "abc", b"abc"),
        (str, None, "abc", b"abc"),
        (bytes, None, 3, b"3"),
        (None, None, ("a", 1), b'["a",1]'),
        (int, None, 3, b"3"),
        (str, "json", "abc", b'"abc"'),
        (None, "json", ("k", (1000.0, 1009.9)), b'["k",[1000.0,1009.9]]'),
        (None, "json", {"b": 1, "a": 2}, b'{"a":2,"b":1}'),
        (Order, None, Order("a", 1.0), Order("a", 1.0).dumps()),
    ],
)
def test_keys_are_written(registry, typ, serializer, key, data):
    assert both_dumps_key(registry, typ, key, serializer=serializer) == data


def test_an_undecodable_key_is_a_key_error_of_ours(registry):
    with pytest.raises(KeyDecodeError, match="key as Order"):
        registry.loads_key(Order, b"[")
    with pytest.raises(KeyDecodeError, match="key as str"):
        registry.loads_key(str, b"\xff")


# -- overriding ------------------------------------------------------------------------------------


def test_overridden_methods_of_a_registry_are_what_its_functions_go_through():
    class Mine(Registry):
        def loads_value(self, typ, value, *, serializer=None):
            return "value"

        def loads_key(self, typ, key, *, serializer=None):
            return "key"

        def dumps_value(self, typ, value, *, serializer=None, skip=(bytes,)):
            return b"dumped value"

        def dumps_key(self, typ, key, *, serializer=None, skip=(bytes,)):
            return b"dumped key"

    mine = Mine()
    assert mine.value_loader(Order)(b"") == "value"
    assert mine.key_loader(Order)(b"") == "key"
    assert mine.value_dumper(Order)(Order("a", 1.0)) == b"dumped value"
    assert mine.key_dumper(str)("a") == b"dumped key"
    with pytest.raises(ValueError, match="empty"):
        mine.value_loader(Order)(None)


def test_a_codec_subclass_is_what_functions_go_through(registry):
    class Wrapped(json):
        def _loads(self, s):
            return super()._loads(s)["wrapped"]

        def _dumps(self, s):
            return super()._dumps({"wrapped": s})

    codec = Wrapped()
    data = both_dumps_value(registry, Order, Order("a", 1.0), serializer=codec)
    assert data.startswith(b'{"wrapped":{')
    assert both_loads_value(registry, Order, data, serializer=codec) == Order("a", 1.0)


def test_a_codec_that_does_not_inherit_from_ours_works(registry):
    class Foreign:
        def dumps(self, obj):
            return repr(obj).encode()

        def loads(self, s):
            return int(s)

    assert both_dumps_value(registry, int, 3, serializer=Foreign()) == b"3"
    assert both_loads_value(registry, int, b"3", serializer=Foreign()) == 3


def test_a_codec_with_arguments_keeps_them(registry):
    class Tagged(Codec):
        def _dumps(self, s):
            return self.kwargs["tag"] + s

        def _loads(self, s):
            return s.removeprefix(self.kwargs["tag"])

    codec = json() | Tagged(tag=b"T:")
    assert both_dumps_value(registry, None, 1, serializer=codec) == b"T:1"
    assert both_loads_value(registry, None, b"T:1", serializer=codec) == 1


def test_from_data_overridden_in_a_record_is_what_loaders_go_through(registry):
    class Loud(Record):
        name: str

        @classmethod
        def from_data(cls, data, *, preferred_type=None):
            return super().from_data({"name": data["name"].upper()}, preferred_type=preferred_type)

    assert both_loads_value(registry, Loud, b'{"name":"x"}') == Loud("X")
