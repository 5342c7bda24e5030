"""Every setting can be given everywhere: keyword, config source, environment, command line."""

from __future__ import annotations

import types
from typing import Any

import pytest

import faust
from faust.cli.base import params_of
from faust.cli.faust import built_in
from faust.cli.options import group_options
from faust.exceptions import ImproperlyConfigured
from faust.settings import Setting, Settings
from faust.settings.kinds import (
    Bool,
    Choice,
    Duration,
    EnumChoice,
    Int,
    LogLevel,
    PathText,
    Text,
    Timezone,
)
from faust.settings.lazy_kinds import BrokerURLs, DecodePolicyKind, PolicyKind, URLKind
from faust.settings.serialization import SerializerKind

#: Kind -> text of a value that is nobody's default.
TEXTS: dict[type, str] = {
    Bool: "",
    BrokerURLs: "kafka://elsewhere",
    DecodePolicyKind: "dead_letter",
    Duration: "33.5",
    EnumChoice: "exactly_once",
    Int: "3",
    LogLevel: "15",
    PathText: "/elsewhere",
    PolicyKind: "dead_letter",
    SerializerKind: "binary",
    Text: "elsewhere",
    Timezone: "Europe/Berlin",
    URLKind: "elsewhere://there",
}
OTHERS = {
    "broker_heartbeat_interval": "4.5",
    "broker_session_timeout": "77",
    "producer_acks": "1",
    "producer_max_batch_size": "3000",
    "producer_max_request_size": "300000",
}
WITH_VARIABLE = [d for d in Settings.SETTINGS.values() if d.env_names(None)]


def text_for(definition: Setting[Any, Any]) -> str:
    """Return the text of a value that is not the default."""
    if definition.name in OTHERS:
        return OTHERS[definition.name]
    kind = definition.kind
    if isinstance(kind, Choice):
        return next(word for word in reversed(kind.words) if word != definition.default)
    if isinstance(kind, Bool):
        return "no" if getattr(Settings("x", env={}), definition.name) else "yes"
    return next(text for cls, text in TEXTS.items() if isinstance(kind, cls))


def name_of(definition: Setting[Any, Any]) -> str:
    return definition.name


@pytest.mark.parametrize("definition", WITH_VARIABLE, ids=name_of)
def test_a_setting_is_read_from_each_of_its_variables_and_wherever_else(
    definition: Setting[Any, Any],
) -> None:
    name, text = definition.name, text_for(definition)
    given: dict[str, Any] = {name: text}
    module = types.ModuleType("everywhere_config")
    setattr(module, name, text)
    assigned = Settings("x", env={})
    setattr(assigned, name, text)
    places: list[tuple[str, Settings]] = [
        ("keyword", Settings("x", env={}, **given)),
        ("config source mapping", Settings("x", env={}, config_source=given)),
        ("config source everywhere_config", Settings("x", env={}, config_source=module)),
        ("command line", Settings("x", env={}, cli=given)),
        ("assignment", assigned),
    ]
    for variable in definition.env_names(None):
        places.append((f"environment {variable}", Settings("x", env={variable: text})))
    read = [getattr(conf, name) for _, conf in places]
    assert all(value == read[0] for value in read)
    assert read[0] != getattr(Settings("x", env={}), name)
    assert [str(conf.source_of(name)) for _, conf in places] == [source for source, _ in places]


@pytest.mark.parametrize("definition", WITH_VARIABLE, ids=name_of)
def test_with_a_prefix_the_variable_without_it_is_not_read(definition: Setting[Any, Any]) -> None:
    if not definition.env:
        return
    name, text = definition.name, text_for(definition)
    conf = Settings("x", env_prefix="SHOP", env={definition.env: text})
    assert conf.source_of(name).level == "default"
    conf = Settings("x", env_prefix="SHOP", env={f"SHOP_{definition.env}": text})
    assert str(conf.source_of(name)) == f"environment SHOP_{definition.env}"


@pytest.mark.parametrize(
    "definition", [d for d in WITH_VARIABLE if not isinstance(d.kind, Text)], ids=name_of
)
def test_a_wrong_text_in_the_environment_is_a_sentence_with_setting_and_variable(
    definition: Setting[Any, Any],
) -> None:
    any_text_will_do = isinstance(definition.kind, PathText | SerializerKind)
    if any_text_will_do or definition.name in ("broker", "canonical_url"):  # "-" may be a host
        return
    variable = definition.env_names(None)[-1]
    wanted = rf"^setting '{definition.name}' must be .* but is '-' \(from environment {variable}\)"
    with pytest.raises(ImproperlyConfigured, match=wanted):
        Settings("x", env={variable: "-"})


@pytest.mark.parametrize(
    "definition", [d for d in Settings.SETTINGS.values() if d.option], ids=name_of
)
def test_an_option_of_the_command_line_is_there(definition: Setting[Any, Any]) -> None:
    params = [*group_options(), *params_of(built_in("worker"))]
    found = [
        p for p in params if {*p.opts, *p.secondary_opts} >= set(definition.option.split(", "))
    ]
    assert found, definition.option


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--web-port", "7001"], "web_port", 7001),
        (["-p", "7001"], "web_port", 7001),
        (["--web-bind", "127.0.0.1"], "web_bind", "127.0.0.1"),
        (["-b", "127.0.0.1"], "web_bind", "127.0.0.1"),
        (["--web-host", "h"], "web_host", "h"),
        (["-h", "h"], "web_host", "h"),
        (["--without-web"], "web_enabled", False),
        (["--with-web"], "web_enabled", True),
        (["--blocking-timeout", "3"], "blocking_timeout", 3.0),
    ],
)
def test_an_option_of_the_worker_beats_all_else(
    arguments: list[str], name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faust.cli.faust import run_program

    made: list[Any] = []

    class Noted(faust.Worker):
        def execute_from_commandline(self) -> Any:
            made.append(getattr(self.app.conf, name))
            raise SystemExit(0)

    app = faust.App("x", broker="memory://", Worker=Noted, env={"WEB_PORT": "1", "WEB_HOST": "env"})
    assert run_program(["-q", "worker", *arguments], app=app) == 0
    assert made == [value]
    assert str(app.conf.source_of(name)) == "command line"
