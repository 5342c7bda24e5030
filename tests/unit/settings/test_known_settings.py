"""Every setting that other versions have, and that the guide names, compared with ours."""

from __future__ import annotations

import logging
import re
import ssl
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from known_settings import GENERATED, KNOWN, Known
from yarl import URL

import faust
from faust.auth import SASLCredentials
from faust.serializers.codecs import get_codec
from faust.settings import Settings
from faust.settings.reference import reference
from faust.settings.retired import RETIRED

ROOT = Path(__file__).parents[3]
MIGRATING = (ROOT / "docs/migrating.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs/application-guide.rst").read_text(encoding="utf-8")

#: Setting -> why its default is another one here.
OTHER_DEFAULT = {
    "blocking_timeout": "says what blocks the loop unless asked not to",
    "broker_commit_every": "a commit waits for the changelogs: at high rates it would never end",
    "broker_commit_interval": "the guide says 3.0",
    "key_serializer": "the guide says json",
    "loghandlers": "the guide says None: given ones are the only ones",
    "producer_linger": "5 ms fill batches under load, and cost a reply at most that",
    "producer_max_batch_size": "a batch is never waited for longer than the linger time",
    "stream_buffer_maxsize": "the guide says 1000",
    "web_metrics_enabled": "is the page for Prometheus here",
    "worker_redirect_stdouts": "what the app prints is printed",
}
#: Setting -> why it is not set by the variable it had.
OTHER_VARIABLE = {
    "broker_credentials": "credentials have no form as text",
    "env_prefix": "its variable is read before all others, and has no prefix itself",
}
#: Names that are other names of settings, with a warning.
RENAMED = {"url": "broker", "producer_linger_ms": "producer_linger"}

OURS = [known for known in KNOWN if known.name in Settings.SETTINGS]

#: Type in words -> values of it that must be taken.
SAMPLES: dict[str, list[Any]] = {
    "bool": [True, False],
    "bool / list[str] / callable": [True, ["a"], lambda: ["a"]],
    "class / dotted path": [dict, "collections:OrderedDict", "collections.OrderedDict"],
    "Credentials / SSLContext": [SASLCredentials(username="u"), ssl.create_default_context()],
    "float / timedelta": [100.5, timedelta(seconds=100), 100],
    "int": [1],
    "list[Handler]": [[logging.NullHandler()], []],
    "mapping / JSON text": [{"a": 1}, '{"a": 1}'],
    "ssl.SSLContext": [ssl.create_default_context()],
    "str": ["text"],
    "str / Codec": ["json", get_codec("raw")],
    "str / enum": ["at_least_once", faust.Settings("x", env={}).processing_guarantee],
    "str / int": ["WARN", 30],
    "str / Path": ["there", Path("there")],
    "str / tzinfo": ["Europe/Berlin", timezone(timedelta(hours=1))],
    "str / URL": ["tcp://", URL("tcp://")],
    "str / URL / list": ["kafka://a;b", URL("kafka://a"), ["kafka://a", "b"]],
}
#: Texts that are one of a few words.
WORDS: dict[str, list[Any]] = {
    "consumer_auto_offset_reset": ["earliest", "latest"],
    "producer_compression_type": ["gzip", "snappy", "lz4", "zstd"],
    "broker_heartbeat_interval": [1.5, timedelta(seconds=2), 1],
    "producer_max_request_size": [1_000_000],
}


def name_of(known: Known) -> str:
    return known.name


def test_each_setting_there_was_is_here_or_renamed_or_gone_with_a_reason() -> None:
    """(pitfalls A16, B1, B17)"""
    for known in KNOWN:
        places = (known.name in Settings.SETTINGS, known.name in RENAMED, known.name in RETIRED)
        assert sum(places) == 1, known.name


def test_what_is_gone_was_there() -> None:
    assert set(RETIRED) <= {known.name for known in KNOWN}


@pytest.mark.parametrize("known", OURS, ids=name_of)
def test_a_setting_takes_what_it_took(known: Known) -> None:
    for value in WORDS.get(known.name, SAMPLES[known.takes]):
        conf = Settings("x", env={}, **{known.name: value})
        assert getattr(conf, known.name) is not None
        assert conf.source_of(known.name).level == "keyword"


@pytest.mark.parametrize("known", OURS, ids=name_of)
def test_a_default_is_what_it_was_or_there_is_a_reason(known: Known) -> None:
    definition = Settings.SETTINGS[known.name]
    default: Any = getattr(Settings("x", env={}), known.name)
    if known.takes == "class / dotted path" and known.default is not None:
        assert str(definition.default).split(".")[-1].split(":")[-1] == known.default.split(":")[-1]
        assert default is getattr(Settings("x", env={}, **{known.name: known.default}), known.name)
    elif known.default is GENERATED:
        assert default
    else:
        assert (default != known.default) == (known.name in OTHER_DEFAULT), default


@pytest.mark.parametrize("known", OURS, ids=name_of)
def test_a_variable_of_the_environment_is_the_one_it_was(known: Known) -> None:
    ours = Settings.SETTINGS[known.name].env_names(None)
    assert (bool(known.env) and known.env not in ours) == (known.name in OTHER_VARIABLE)


@pytest.mark.parametrize("known", OURS, ids=name_of)
def test_an_old_name_and_the_version_are_kept(known: Known) -> None:
    definition = Settings.SETTINGS[known.name]
    assert definition.since == (known.since or "1.0")
    if known.old_name:
        assert known.old_name in (*definition.renamed_from, definition.in_milliseconds)


@pytest.mark.parametrize("name", sorted({*OTHER_DEFAULT, *OTHER_VARIABLE, *RENAMED, *RETIRED}))
def test_each_difference_is_told_to_those_who_come_from_another_version(name: str) -> None:
    assert re.search(rf"\b{name}\b", MIGRATING), f"docs/migrating.md does not mention {name}"


@pytest.mark.parametrize("name", sorted(RETIRED))
def test_what_is_gone_is_in_the_reference_and_says_why_when_it_is_read(name: str) -> None:
    assert f"- `{name}`: " in reference()
    with pytest.raises(AttributeError, match=f"'{name}' is gone: "):
        getattr(Settings("x", env={}), name)


@pytest.mark.parametrize("name", sorted(RETIRED))
def test_what_is_gone_is_ignored_with_a_warning_where_it_was_off(name: str) -> None:
    off: dict[str, Any] = {name: False}
    with pytest.warns(FutureWarning, match=f"setting '{name}' has no effect: "):
        Settings("x", env={}, **off)


# -- the guide -------------------------------------------------------------------------------------

#: What a type is called in the guide -> values of it that must be taken.
GUIDE_SAMPLES: dict[str, list[Any]] = {
    "str": ["http://text"],
    "bool": [True],
    "int": [1],
    "float,~datetime.timedelta": [100.5, timedelta(seconds=100)],
    "Union[bool, Iterable[str], Callable[[], Iterable[str]]]": [True, ("a",), lambda: ["a"]],
    "Union[str, pathlib.Path]": ["there", Path("there")],
    "List[logging.LogHandler]": [[logging.NullHandler()]],
    "Union[str, Codec]": ["json", get_codec("raw")],
    "Union[float, datetime.timedelta]": [100.5, timedelta(seconds=100)],
}


def field(block: str, name: str) -> str:
    found = re.search(rf"^:{name}:\s+(.*)$", block, re.M)
    text = found[1].replace(" (five minutes).", "") if found else ""
    return re.sub(r":?\w+:`|``|`", "", text).replace(", ~", ",~").strip().rstrip(".").strip('"')


BLOCKS = {block.split()[0]: block for block in re.split(r"\.\. [sS]etting:: ", GUIDE)[1:]}


def test_the_guide_names_thirty_nine_settings() -> None:
    assert len(BLOCKS) == 39
    assert BLOCKS.keys() <= Settings.SETTINGS.keys()


@pytest.mark.parametrize("name", BLOCKS)
def test_the_guide_and_the_definition_say_the_same(name: str) -> None:
    block, definition = BLOCKS[name], Settings.SETTINGS[name]
    kind = field(block, "type")
    classes = [dict, "collections:OrderedDict"]
    for sample in classes if "Type" in kind else GUIDE_SAMPLES[kind]:
        if name != "id":
            given: dict[str, Any] = {name: sample}
            assert Settings("x", env={}, **given).source_of(name).level == "keyword"
    told = field(block, "default")
    said = definition.default_text.replace("datetime.", "").strip("'")
    same = {
        "": ("False", "required"),
        "aiokafka://localhost:9092": ("kafka://localhost:9092",),
        "{appid}-data": ("{conf.name}-data",),
        "<generated>": ("{reply_to_prefix}{random id}",),
        "socket.gethostname()": ("http://{web_host}:{web_port}",),
        "3.0": ("3.0 (0.1 with processing_guarantee='exactly_once')",),
    }
    assert said in same.get(told, (told,))
    for variable in field(block, "environment").split(","):
        assert not variable or variable.strip() in definition.env_names(None)


@pytest.mark.parametrize("scheme", ["kafka", "aiokafka"])
def test_kafka_and_aiokafka_are_one_driver(scheme: str) -> None:
    from faust._engine.connection import transport_class

    assert transport_class(scheme) is transport_class("kafka")


def test_every_class_path_that_the_guide_prints_can_be_imported() -> None:
    paths = re.findall(r'^:default: ``"((?:faust|aiohttp)[\w.:]+)"``', GUIDE, re.M)
    paths.append("faust.router.Router")
    assert len(paths) == 15
    for path in paths:
        if "localhost" not in path:
            conf = Settings("x", env={}, Topic=path)
            assert isinstance(conf.Topic, type)
