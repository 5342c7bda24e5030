"""Codecs: names, pipes, plug-ins, and what JSON does with more than JSON."""

import importlib.util
import json as stdlib_json
import pickle as stdlib_pickle
import subprocess
import sys
import warnings
from collections import Counter, deque
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from types import MappingProxyType
from uuid import UUID

import pytest

from faust.exceptions import ImproperlyConfigured, SecurityWarning
from faust.models import Record
from faust.serializers import codecs
from faust.serializers.codecs import Codec, UnknownCodec, get_codec
from faust.utils import json


class Item(Record, namespace="codecs.Item"):
    n: int


class Shout(Codec):
    def _dumps(self, s):
        return s.upper()

    def _loads(self, s):
        return s.lower()


class Mark(Codec):
    def _dumps(self, s):
        return self.kwargs["mark"] + s

    def _loads(self, s):
        return s.removeprefix(self.kwargs["mark"])


@pytest.fixture
def names():
    """Let a test register codecs, and forget them afterwards."""
    before = dict(codecs.codecs)
    yield
    codecs.codecs.clear()
    codecs.codecs.update(before)


def test_a_pipe_dumps_left_to_right_and_loads_right_to_left():
    codec = codecs.raw() | Mark(mark=b"a:") | Mark(mark=b"b:")
    assert codec.dumps("x") == b"b:a:x"
    assert codec.loads(b"b:a:x") == b"x"


def test_pipes_can_be_piped():
    left, right = codecs.json() | Shout(), Mark(mark=b"1") | Mark(mark=b"2")
    assert (left | right).dumps("a") == b'21"A"'
    assert len((left | right).nodes) == 4
    assert len(left.nodes) == 2


def test_a_clone_keeps_its_arguments():
    codec = Mark(mark=b"m") | Shout()
    assert codec.kwargs == {"mark": b"m"}
    assert codec.clone(Shout()).children != codec.children
    assert Codec(children=(Shout(),), level=3).kwargs == {"level": 3}


def test_repr_shows_the_pipe():
    assert repr(codecs.json() | codecs.gzip(compresslevel=1)) == "json() | gzip(compresslevel=1)"


def test_piping_to_something_else_is_a_type_error():
    with pytest.raises(TypeError):
        codecs.json() | "gzip"


def test_names_may_be_pipes():
    assert codecs.dumps("json|gzip", [1])[:2] == b"\x1f\x8b"
    assert codecs.loads("json | gzip", codecs.dumps("json|gzip", [1])) == [1]
    assert codecs.loads("json|binary", b"WzFd") == [1]


def test_gzip_gives_equal_bytes_for_equal_values():
    assert codecs.dumps("json|gzip", [1]) == codecs.dumps("json|gzip", [1])


def test_no_codec_is_identity():
    assert codecs.dumps(None, b"x") == b"x"
    assert codecs.loads("", b"x") == b"x"
    assert get_codec(None).dumps(b"x") == b"x"


@pytest.mark.parametrize("name", ["jsn", "jsn|gzip", "json|jsn"])
def test_an_unknown_name_is_a_clear_error_in_any_place(name):
    with pytest.raises(UnknownCodec, match="no codec named 'jsn'; did you mean 'json'") as caught:
        get_codec(name)
    assert isinstance(caught.value, ImproperlyConfigured)
    assert isinstance(caught.value, KeyError)


def test_registered_codecs_are_found_by_name(names):
    codecs.register("shout", Shout())
    assert codecs.dumps("raw|shout", "a") == b"A"
    with pytest.raises(ValueError, match="cannot be named"):
        codecs.register("a|b", Shout())


def test_codecs_of_installed_packages_are_found(names, tmp_path, monkeypatch):
    (tmp_path / "loud_codec.py").write_text(
        "from faust import serializers\n"
        "class Loud(serializers.Codec):\n"
        "    def _dumps(self, s): return s + b'!'\n"
        "    def _loads(self, s): return s[:-1]\n"
    )
    info = tmp_path / "loud_codec-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud-codec\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[faust.codecs]\nloud = loud_codec:Loud\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert codecs.dumps("raw|loud", "a") == b"a!"
    assert codecs.loads("raw|loud", b"a!") == b"a"


def test_raw_takes_text_and_bytes_only():
    assert codecs.dumps("raw", "é") == b"\xc3\xa9"
    assert codecs.dumps("raw", bytearray(b"x")) == b"x"
    with pytest.raises(TypeError, match="raw codec takes bytes or text, not int"):
        codecs.dumps("raw", 3)


def test_pickle_warns_wherever_it_is_named_and_works():
    for name in ("pickle", "pickle|gzip"):
        with pytest.warns(SecurityWarning, match="executes code"):
            codec = get_codec(name)
        assert codec.loads(codec.dumps({"a": {1, 2}})) == {"a": {1, 2}}


def test_importing_and_using_json_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        get_codec("json").dumps(1)


def test_restricted_pickle_builds_listed_classes_only():
    codec = get_codec("pickle_restricted")
    value = {"when": datetime(2024, 1, 1), "price": Decimal("1.1"), "set": {1}}
    assert codec.loads(codec.dumps(value)) == value
    with pytest.raises(stdlib_pickle.UnpicklingError, match="may not be unpickled"):
        codec.loads(codec.dumps(PurePosixPath("x")))


def test_yaml_needs_pyyaml_and_says_so():
    if importlib.util.find_spec("yaml") is None:
        with pytest.raises(ImproperlyConfigured, match="pip install PyYAML"):
            get_codec("yaml")
    else:
        value = {"a": [1, "ü", None]}
        assert codecs.loads("yaml", codecs.dumps("yaml", value)) == value


# -- JSON ------------------------------------------------------------------------------------------


class Color(Enum):
    RED = "red"


class Odd(Enum):
    HALF = 0.5


class Asked:
    def __json__(self):
        return {"asked": Decimal("1.5")}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("1.10"), b'"1.10"'),
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), b'"2024-01-02T03:04:05Z"'),
        (datetime(2024, 1, 2, 3, 4, 5), b'"2024-01-02T03:04:05"'),
        (date(2024, 1, 2), b'"2024-01-02"'),
        (Color.RED, b'"red"'),
        (Odd.HALF, b"0.5"),
        ({1}, b"[1]"),
        (frozenset({1}), b"[1]"),
        ((1, 2), b"[1,2]"),
        (deque([1]), b"[1]"),
        (Counter("aa"), b'{"a":2}'),
        (MappingProxyType({"a": 1}), b'{"a":1}'),
        (b"\x00\xff", b'"AP8="'),
        (float("nan"), b"null"),
        (2**70, b"1180591620717411303424"),
        ({1: "a"}, b'{"1":"a"}'),
        (PurePosixPath("/a"), b'"/a"'),
        (Asked(), b'{"asked":"1.5"}'),
        ([{"x": Asked()}], b'[{"x":{"asked":"1.5"}}]'),
        ({"b": 1, "a": 2}, b'{"b":1,"a":2}'),
        ([Item(1)], b'[{"n":1,"__faust":{"ns":"codecs.Item"}}]'),
        ({"i": (Item(1),)}, b'{"i":[{"n":1,"__faust":{"ns":"codecs.Item"}}]}'),
    ],
)
def test_json_knows_more_than_json(value, expected):
    assert json.dumps(value) == expected
    assert codecs.dumps("json", value) == expected


def test_json_reads_text_and_bytes():
    assert json.loads('{"a":1}') == json.loads(b'{"a":1}') == {"a": 1}


def test_an_object_without_a_form_is_named():
    with pytest.raises(TypeError, match=r"builtins\.object cannot be written as JSON"):
        json.dumps({"a": object()})


def test_sorted_json_is_the_same_in_every_process():
    program = (
        "import sys; from faust.utils.json import dumps_sorted;"
        "sys.stdout.buffer.write(dumps_sorted({'s': {'a', 'b', 'c', 'd'}, 'a': 1}))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    }
    assert [stdlib_json.loads(data) for data in found] == [{"a": 1, "s": ["a", "b", "c", "d"]}]
