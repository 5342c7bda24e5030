"""What packages that plug into Faust import, override and call, by the shape they know it in."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import faust
from faust.exceptions import ValidationError
from faust.models import FieldDescriptor
from faust.serializers import codecs
from faust.utils import codegen

#: Module -> what is imported from it.
NAMES = {
    "faust": "App Agent ChannelT Codec Record SASLCredentials Schema Settings Table Topic TopicT",
    "faust.cli": "AppCommand argument option",
    "faust.exceptions": "ImproperlyConfigured KeyDecodeError ValidationError ValueDecodeError",
    "faust.models": "FieldDescriptor Record",
    "faust.models.base": "registry",
    "faust.models.fields": "DecimalField FieldDescriptor",
    "faust.sensors.monitor": "Monitor TPOffsetMapping",
    "faust.serializers.codecs": "Codec json register",
    "faust.types": "AppT CodecArg CodecT CollectionT EventT K Message ModelArg PendingMessage"
    " SchemaT StreamT TP TopicT V",
    "faust.types.agents": "AgentFun",
    "faust.types.app": "AppT",
    "faust.types.assignor": "PartitionAssignorT",
    "faust.types.codecs": "CodecArg",
    "faust.types.core": "K OpenHeadersArg V",
    "faust.types.models": "ModelArg ModelT",
    "faust.types.serializers": "KT VT",
    "faust.types.streams": "StreamT",
    "faust.types.topics": "TopicT",
    "faust.types.transports": "ConsumerT ProducerT",
    "faust.types.tuples": "Message PendingMessage RecordMetadata TP",
    "faust.types.web": "Request Response View ViewDecorator ViewHandlerFun",
    "faust.utils.codegen": "Function",
    "faust.web": "Request Response View",
    "mode.utils.objects": "cached_property",
}


@pytest.mark.parametrize("module", NAMES)
def test_what_packages_import_can_be_imported(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


def test_types_that_packages_subscript_can_be() -> None:
    fun: Any = importlib.import_module("faust.types.agents").AgentFun
    assert fun[int].__args__ == (faust.Stream[int], Any)


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            faust.App.timer,
            "self interval on_leader traced name max_drift_correction",
        ),
        (faust.App._on_agent_error, "self agent exc"),
        (faust.App.crash, "self reason"),
        (faust.Topic.prepare_key, "self key key_serializer schema headers"),
        (faust.Topic.prepare_value, "self value value_serializer schema headers"),
        (faust.Schema.loads_key, "self app message loads serializer"),
        (faust.Schema.loads_value, "self app message loads serializer"),
        (faust.Schema.dumps_key, "self app key serializer headers"),
        (faust.Schema.dumps_value, "self app value serializer headers"),
        (
            faust.Schema.update,
            "self key_type value_type key_serializer value_serializer allow_empty",
        ),
        (faust.Record.from_data, "data preferred_type"),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_methods_that_packages_replace_are_called_with_these_arguments(
    function: Any, expected: str
) -> None:
    """In this order: some of them are passed on by position."""
    assert parameters(function) == expected.split()


class Branch(faust.Record, namespace="compat.Branch"):
    x: int


class Tagged(faust.Record, abstract=True):
    """As faust-avro does: it reads what its decoder gives as ours."""

    def __init_subclass__(cls, label: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.label = label  # type: ignore[attr-defined]

    @classmethod
    def _BUILD_input_translate_fields(cls) -> Any:
        lines = [
            f"data[{field!r}] = annotate(data[{field!r}])"
            for field, descriptor in cls._options.descriptors.items()
            if "Branch" in str(descriptor.type)
        ]
        names = {"annotate": lambda pair: {**pair[1], "__faust": {"ns": pair[0]}}}
        made = codegen.Function("translate", ["cls", "data"], lines or ["pass"], locals=names)
        return classmethod(made)


class Tree(Tagged, label="tree"):
    name: str
    branch: Branch | str


def test_a_record_translates_what_its_package_decoded() -> None:
    payload = {"name": "oak", "branch": ("compat.Branch", {"x": 3})}
    assert Tree.from_data(payload) == Tree("oak", Branch(3))
    assert payload["branch"] == ("compat.Branch", {"x": 3})
    assert vars(Tree)["label"] == "tree"


def test_a_record_that_translates_is_also_read_so_from_json() -> None:
    text = b'{"name": "oak", "branch": ["compat.Branch", {"x": 3}]}'
    assert Tree.loads(text) == Tree("oak", Branch(3))


def test_a_function_is_made_of_its_lines() -> None:
    add = codegen.Function("add", ["a", "b=2"], ["c = a + b + d", "return c"], globals={"d": 4})
    assert (add(1), add(1, b=5), add.__name__) == (7, 10, "add")
    assert codegen.Function("nothing", [], [])() is None


def test_options_of_a_record_are_read() -> None:
    class Order(faust.Record, serializer="json", namespace="compat.Order"):
        account: str
        amount: float = 1.0

    options = Order._options
    assert (options.namespace, options.serializer, options.include_metadata) == (
        "compat.Order",
        "json",
        True,
    )
    assert options.fields == {"account": str, "amount": float}
    amount: Any = options.descriptors["amount"]
    assert (amount.field, amount.input_name, amount.type, amount.required) == (
        "amount",
        "amount",
        float,
        False,
    )
    assert Order("a").asdict() == {"account": "a", "amount": 1.0}
    assert Order("a").to_representation()["__faust"] == {"ns": "compat.Order"}


def test_to_representation_may_be_replaced_for_all_of_a_class() -> None:
    class Bare(faust.Record):
        x: int

    def represent(self: Any) -> Any:
        return {**self.asdict(), "ns": self._options.namespace}

    Bare.to_representation = represent  # type: ignore[method-assign]
    assert Bare(1).dumps() == b'{"x":1,"ns":"%s"}' % Bare._options.namespace.encode()


class Upper(codecs.Codec):
    """As codecs of packages are: keyword arguments are kept, and given to copies."""

    def __init__(self, prefix: str = "", **kwargs: Any) -> None:
        self.prefix = prefix
        super().__init__(prefix=prefix, **kwargs)

    def _dumps(self, s: Any) -> bytes:
        return self.prefix.encode() + s.upper()  # type: ignore[no-any-return]

    def _loads(self, s: bytes) -> Any:
        return s[len(self.prefix) :].lower()


def test_codecs_are_piped_and_keep_their_arguments() -> None:
    piped = codecs.json() | Upper("!")
    assert piped.dumps({"a": "b"}) == b'!{"A":"B"}'
    assert piped.loads(b'!{"A":"B"}') == {"a": "b"}
    assert Upper("!").kwargs == {"prefix": "!"}
    assert Upper("!").clone().dumps(b"x") == b"!X"


class ChoiceField(FieldDescriptor[str]):
    """As in faust-tools and in the model guide."""

    def __init__(self, choices: list[str], **kwargs: Any) -> None:
        self.choices = choices
        super().__init__(choices=choices, **kwargs)

    def validate(self, value: str) -> Any:
        if value not in self.choices:
            yield self.validation_error(f"{self.field} must be one of {self.choices}")


def test_a_field_of_ones_own_validates() -> None:
    class Signal(faust.Record, validation=True):
        side: str = ChoiceField(["buy", "sell"])  # type: ignore[assignment]  # as its users do

    assert Signal("buy").side == "buy"
    with pytest.raises(ValidationError, match="must be one of"):
        Signal("hold")


def test_settings_may_be_replaced_as_a_whole(tmp_path: Path) -> None:
    app = faust.App(id="before", env={})
    app.conf = faust.Settings(id="after", broker="memory://compat", datadir=tmp_path, env={})
    assert (app.conf.id, str(app.conf.broker[0])) == ("after", "memory://compat")


def test_an_app_may_bring_its_own_topics_schemas_and_commands() -> None:
    """Keywords are filled in by `setdefault`, and commands made in its constructor."""

    class Schema(faust.Schema):  # type: ignore[type-arg]
        pass

    class Topic(faust.Topic):  # type: ignore[type-arg]
        pass

    class App(faust.App):
        def __init__(self, *args: Any, registry_url: str = "http://here", **kwargs: Any) -> None:
            kwargs.setdefault("Schema", Schema)
            kwargs.setdefault("Topic", Topic)
            super().__init__(*args, **kwargs)
            self.registry_url = registry_url

            @self.command()
            async def register(_: Any) -> None:
                """Register."""
                _.say(_.app.registry_url)

    app = App("own", broker="memory://own", registry_url="http://there", env={})
    topic = app.topic("points", value_type=Branch)
    assert type(topic) is Topic
    assert type(topic.schema) is Schema
    key, headers = topic.prepare_key("k", None, None, {"h": b"1"})
    assert (key, dict(headers)) == (b"k", {"h": b"1"})


def test_replaced_methods_of_the_app_are_what_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the Sentry package does it: on the class, before the app is made."""
    told: list[Any] = []
    original = faust.App.timer

    def timer(self: Any, *args: Any, **kwargs: Any) -> Any:
        told.append((args, kwargs))
        return original(self, *args, **kwargs)

    async def crash(self: Any, reason: BaseException) -> None:
        told.append(reason)

    monkeypatch.setattr(faust.App, "timer", timer)
    monkeypatch.setattr(faust.App, "crash", crash)
    app = faust.App("replaced", broker="memory://replaced", env={})

    @app.timer(1.0, False, True, "tick", 0.1)
    async def tick() -> None: ...

    error = RuntimeError("no")
    asyncio.run(app.crash(error))
    assert told == [((1.0, False, True, "tick", 0.1), {}), error]


def test_views_make_responses_with_a_status() -> None:
    app = faust.App("seen", broker="memory://seen", env={})
    view = faust.web.View(app, app.web)
    made = view.json({"a": 1}, status=201)
    assert (made.status, made.body) == (201, b'{"a":1}')
    assert view.bytes(b"raw").body == b"raw"
    assert isinstance(made.headers, Mapping)
