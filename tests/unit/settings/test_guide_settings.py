"""The settings that the application guide names, with the defaults that it prints."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from faust.settings import Settings
from faust.settings.params import Computed

#: name: the default that the guide prints, in the form in which it is read.
PLAIN = {
    "autodiscover": False,
    "version": 1,
    "id_format": "{id}-v{self.version}",
    "loghandlers": None,
    "origin": None,
    "key_serializer": "json",
    "value_serializer": "json",
    "topic_replication_factor": 1,
    "topic_partitions": 8,
    "broker_commit_interval": 3.0,
    "broker_commit_livelock_soft_timeout": 300.0,
    "table_cleanup_interval": 30.0,
    "table_standby_replicas": 1,
    "stream_buffer_maxsize": 1000,
    "reply_create_topic": False,
    "reply_expires": timedelta(days=1).total_seconds(),
    "reply_to_prefix": "f-reply-",
    "datadir": Path("x-data"),
    "tabledir": Path("x-data/v1/tables"),
}

CLASSES = {
    "Agent": "faust.Agent",
    "Stream": "faust.Stream",
    "Table": "faust.Table",
    "Set": "faust.Set",
    "TableManager": "faust.tables.TableManager",
    "Serializers": "faust.serializers.Registry",
    "Worker": "faust.Worker",
    "PartitionAssignor": "faust.assignor.PartitionAssignor",
    "LeaderAssignor": "faust.assignor.LeaderAssignor",
    "Router": "faust.app.router.Router",
    "TopicConductor": "faust.topics:TopicConductor",
    "Topic": "faust.Topic",
    "HttpClient": "aiohttp.client:ClientSession",
    "Monitor": "faust.sensors:Monitor",
}

OTHERS = {"id", "broker", "store", "broker_client_id", "canonical_url", "reply_to"}


@pytest.mark.parametrize("name", PLAIN)
def test_the_default_is_the_one_that_the_guide_prints(name: str) -> None:
    assert getattr(Settings("x", env={}), name) == PLAIN[name]


@pytest.mark.parametrize("name", CLASSES)
def test_classes_default_to_the_paths_that_the_guide_prints(name: str) -> None:
    assert Settings.SETTINGS[name].default == CLASSES[name]


def test_all_thirty_nine_settings_of_the_guide_exist() -> None:
    named = {*PLAIN, *CLASSES, *OTHERS}
    assert len(named) == 39
    assert named <= Settings.setting_names()


def test_the_default_broker_is_kafka_on_this_machine() -> None:
    assert [str(url) for url in Settings("x", env={}).broker] == ["kafka://localhost:9092"]


def test_the_default_store_is_memory() -> None:
    assert Settings("x", env={}).store.scheme == "memory"


def test_the_client_id_says_faust() -> None:
    assert Settings("x", env={}).broker_client_id.startswith("faust-")


def test_the_reply_topic_is_generated_once_for_each_app() -> None:
    first, second = Settings("x", env={}), Settings("x", env={})
    assert first.reply_to.startswith("f-reply-")
    assert first.reply_to == first.reply_to != second.reply_to
    before = first.reply_to
    first.web_port = 7000
    assert first.reply_to == before


def test_a_class_setting_takes_a_class_and_a_path() -> None:
    conf = Settings("x", env={}, Agent=dict, Router="collections:OrderedDict")
    from collections import OrderedDict

    assert conf.Agent is dict
    assert conf.Router is OrderedDict


def test_loghandlers_are_a_list_of_handlers() -> None:
    handler = logging.NullHandler()
    assert Settings("x", env={}, loghandlers=[handler]).loghandlers == [handler]


def test_every_setting_says_what_it_does() -> None:
    for definition in Settings.SETTINGS.values():
        assert definition.text.endswith("."), definition
        assert definition.section
        assert definition.expects
        assert definition.default_text


def test_every_default_can_be_given() -> None:
    for name, definition in Settings.SETTINGS.items():
        if not isinstance(definition.default, Computed):
            Settings("x", env={}, **{name: definition.default})


def test_no_two_settings_are_set_by_one_variable() -> None:
    variables = [v for d in Settings.SETTINGS.values() for v in d.env_names(None)]
    assert len(variables) == len(set(variables))


def test_sections_hold_all_settings_in_order() -> None:
    listed = [d.name for ds in Settings.SETTINGS_BY_SECTION.values() for d in ds]
    assert sorted(listed) == sorted(Settings.SETTINGS)
    assert next(iter(Settings.SETTINGS_BY_SECTION)) == "Common"
