"""Where values come from, what is derived from them, and what happens when they are assigned."""

import ssl
import subprocess
import sys
import types
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any, assert_type

import pytest
from yarl import URL

from faust._values import ProcessingGuarantee
from faust.auth import Credentials, SASLCredentials, SSLCredentials
from faust.exceptions import FaustWarning, ImproperlyConfigured
from faust.settings import Settings, setting
from faust.settings.kinds import Int


def conf(id: str = "x", **given: Any) -> Settings:
    given.setdefault("env", {})
    return Settings(id, **given)


# -- precedence ----------------------------------------------------------------------------------


def test_command_line_beats_environment_beats_source_beats_keyword_beats_default() -> None:
    layers: dict[str, Any] = {
        "web_port": 1,
        "config_source": {"web_port": 2},
        "env": {"WEB_PORT": "3"},
        "cli": {"web_port": 4},
    }
    seen = []
    for last in ("cli", "env", "config_source", "web_port"):
        seen.append(conf(**layers).web_port)
        del layers[last]
    seen.append(conf(**layers).web_port)
    assert seen == [4, 3, 2, 1, 6066]


def test_source_of_says_where_a_value_came_from() -> None:
    settings = conf(
        web_host="here",
        config_source={"topic_partitions": 3},
        env={"BROKER_URL": "kafka://h"},
        cli={"web_port": 4},
    )
    settings.store = "rocksdb://"
    names = ("web_host", "topic_partitions", "broker", "web_port", "store", "web_bind")
    assert [str(settings.source_of(name)) for name in names] == [
        "keyword",
        "config source mapping",
        "environment BROKER_URL",
        "command line",
        "assignment",
        "default",
    ]
    assert settings.source_of("broker_url") == settings.source_of("broker")


def test_none_means_not_given_wherever_it_stands() -> None:
    settings = conf(web_port=7000, config_source={"web_port": None}, cli={"web_port": None})
    assert settings.web_port == 7000
    assert conf(broker=None).source_of("broker").level == "default"


def test_the_id_of_a_config_source_wins_over_the_keyword() -> None:
    assert conf("x", config_source={"id": "y"}).id == "y"
    assert Settings(env={}, config_source={"id": "y"}).id == "y"


# -- environment ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "port"),
    [
        ({"WEB_PORT": "1"}, 1),
        ({"FAUST_WEB_PORT": "2"}, 2),
        ({"F_WEB_PORT": "3"}, 3),
        ({"WEB_PORT": "tcp://10.0.0.1:80", "FAUST_WEB_PORT": "2"}, 2),
        ({"WEB_PORT": ""}, 6066),
    ],
)
def test_a_variable_is_read_with_and_without_faust_in_front(env: dict[str, str], port: int) -> None:
    assert conf(env=env).web_port == port


def test_the_variable_for_the_address_has_no_doubled_prefix() -> None:
    """(pitfalls B13)"""
    assert conf(env={"FAUST_WEB_BIND": "127.0.0.1"}).web_bind == "127.0.0.1"


def test_the_blocking_timeout_is_read_from_the_environment() -> None:
    """(pitfalls B14)"""
    assert conf(env={"FAUST_BLOCKING_TIMEOUT": "2.5"}).blocking_timeout == 2.5


@pytest.mark.parametrize("text", ["0", "false", "No", "OFF", ""])
def test_a_false_text_in_the_environment_is_false(text: str) -> None:
    """(pitfalls C66)"""
    assert conf(env={"APP_WEB_ENABLED": text}).web_enabled is False
    assert conf(env={"APP_DEBUG": text}).debug is False


@pytest.mark.parametrize("text", ["1", "true", "YES", "on"])
def test_a_true_text_in_the_environment_is_true(text: str) -> None:
    assert conf(env={"APP_DEBUG": text}).debug is True


def test_the_version_of_the_environment_enters_the_id() -> None:
    """(pitfalls B5)"""
    settings = conf(env={"APP_VERSION": "3"})
    assert (settings.id, settings.version, settings.appdir) == ("x-v3", 3, Path("x-data/v3"))


def test_a_prefix_isolates_from_other_variables() -> None:
    env = {"BROKER_URL": "kafka://wrong", "FOO_BROKER_URL": "kafka://right"}
    for prefix in ("FOO", "FOO_"):
        assert conf(env=env, env_prefix=prefix).broker[0].host == "right"


def test_the_prefix_of_the_environment_wins_over_the_keyword() -> None:
    env = {"APP_ENV_PREFIX": "FOO", "FOO_WEB_PORT": "1", "BAR_WEB_PORT": "2"}
    assert conf(env=env, env_prefix="BAR").web_port == 1


@pytest.mark.parametrize("variable", ["APP_DATADIR", "FAUST_DATADIR", "F_DATADIR"])
def test_the_data_directory_is_read_from_each_of_its_variables(variable: str) -> None:
    assert conf(env={variable: "/data"}).datadir == Path("/data")


def test_app_datadir_wins_over_faust_datadir() -> None:
    env = {"F_DATADIR": "/c", "FAUST_DATADIR": "/b", "APP_DATADIR": "/a"}
    assert conf(env=env).datadir == Path("/a")


def test_an_error_names_the_variable() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"'web_port' .* \(from environment WEB_PORT\)"):
        conf(env={"WEB_PORT": "tcp://10.0.0.1:80"})


# -- config sources ------------------------------------------------------------------------------


class Config:
    web_port = 1
    broker_url = "kafka://h"
    helper = [1, 2]


def test_a_config_source_may_be_an_object_a_class_a_module_or_a_mapping() -> None:
    module = types.ModuleType("myconf")
    module.web_port = 1  # type: ignore[attr-defined]
    for source in (Config, Config(), module, {"web_port": 1}):
        assert conf(config_source=source).web_port == 1
    assert conf(config_source=Config).broker[0].host == "h"


def test_a_config_source_may_be_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf_by_path.py").write_text(
        "import os\nweb_port = 5\nclass Other:\n    web_port = 6\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert conf(config_source="conf_by_path").web_port == 5
    assert conf(config_source="conf_by_path:Other").web_port == 6
    assert str(conf(config_source="conf_by_path").source_of("web_port")) == (
        "config source conf_by_path"
    )


def test_a_config_source_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"'no_such.conf' .*no module 'no_such'"):
        conf(config_source="no_such.conf")


def test_an_unknown_key_of_a_mapping_is_an_error() -> None:
    with pytest.raises(ImproperlyConfigured, match="did you mean 'web_port'"):
        conf(config_source={"wep_port": 1})


def test_a_misspelt_attribute_of_an_object_is_warned_about() -> None:
    class Misspelt:
        topic_partitons = 3

    with pytest.warns(FaustWarning, match="did you mean 'topic_partitions'"):
        conf(config_source=Misspelt)


# -- names ---------------------------------------------------------------------------------------


def test_an_unknown_setting_is_an_error_with_a_suggestion() -> None:
    """(pitfalls B1)"""
    with pytest.raises(ImproperlyConfigured, match=r"'topic_partition'; did you mean 'topic_part"):
        conf(topic_partition=3)


def test_an_unknown_setting_without_a_likeness_is_an_error_all_the_same() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^there is no setting 'foobar'$"):
        conf(foobar=3)


def test_assigning_an_unknown_setting_is_an_error() -> None:
    """(pitfalls D)"""
    with pytest.raises(ImproperlyConfigured, match="did you mean 'web_port'"):
        conf().wep_port = 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("client_id", "broker_client_id", "me"),
        ("commit_interval", "broker_commit_interval", 1.0),
        ("create_reply_topic", "reply_create_topic", True),
        ("default_partitions", "topic_partitions", 3),
        ("replication_factor", "topic_replication_factor", 3),
        ("num_standby_replicas", "table_standby_replicas", 3),
    ],
)
def test_a_name_that_a_setting_had_works_with_a_warning(old: str, new: str, value: Any) -> None:
    with pytest.warns(FutureWarning, match=f"'{old}' is now called '{new}'") as caught:
        settings = conf(**{old: value})
    assert getattr(settings, new) == value
    assert caught[0].filename == __file__


def test_old_and_new_name_together_are_an_error() -> None:
    with (
        pytest.warns(FutureWarning),
        pytest.raises(ImproperlyConfigured, match=r"'commit_interval'.*same setting"),
    ):
        conf(broker_commit_interval=1.0, commit_interval=2.0)


def test_a_setting_that_is_gone_and_harmless_is_ignored_with_a_warning() -> None:
    """(pitfalls B17)"""
    with pytest.warns(FutureWarning, match="'producer_threaded' has no effect: all sockets"):
        conf(producer_threaded=True)
    settings = conf()
    with pytest.warns(FutureWarning):
        settings.cython_optimizations = True  # type: ignore[attr-defined]


def test_a_setting_that_is_gone_and_would_be_missed_is_an_error() -> None:
    """(pitfalls B3)"""
    with pytest.raises(ImproperlyConfigured, match="sent at once, and delivered before"):
        conf(stream_publish_on_commit=True)
    for name in ("broker_consumer", "broker_producer"):
        with pytest.raises(ImproperlyConfigured, match=f"'{name}' is not supported: one broker"):
            conf(**{name: "kafka://other"})


# -- types ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("topic_partitions", "many"),
        ("topic_partitions", 0),
        ("topic_partitions", 2.0),
        ("topic_partitions", True),
        ("web_port", 65536),
        ("version", 0),
        ("version", "two"),
        ("broker", "kafka://h:port"),
        ("broker", 3),
        ("broker", ""),
        ("broker", ["kafka://a", "sqlite://b"]),
        ("store", "rocksdb"),
        ("timezone", "Mars/Olympus"),
        ("timezone", 3),
        ("broker_commit_interval", -1),
        ("broker_commit_interval", 0),
        ("broker_commit_interval", "often"),
        ("broker_commit_interval", True),
        ("broker_commit_interval", float("nan")),
        ("processing_guarantee", "twice"),
        ("agent_error_policy", "retry"),
        ("debug", "maybe"),
        ("debug", 2),
        ("debug", 1.0),
        ("autodiscover", "pkg"),
        ("autodiscover", [1]),
        ("ssl_context", "ctx"),
        ("loghandlers", ["h"]),
        ("loghandlers", 3),
        ("logging_config", "{"),
        ("logging_config", "[]"),
        ("worker_redirect_stdouts_level", "LOUD"),
        ("worker_redirect_stdouts_level", 1.5),
        ("key_serializer", 3),
        ("key_serializer", ""),
        ("producer_acks", "some"),
        ("producer_acks", 2),
        ("Agent", 3),
        ("Agent", ""),
        ("origin", ""),
        ("origin", 3),
        ("datadir", 3),
        ("datadir", b"x"),
        ("canonical_url", ""),
        ("web_application_options", 3),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_the_setting(name: str, value: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^setting '{name}' must be ") as caught:
        conf(**{name: value})
    assert "\n" not in str(caught.value)
    settings = conf()
    with pytest.raises(ImproperlyConfigured, match=f"^setting '{name}' must be "):
        setattr(settings, name, value)


@pytest.mark.parametrize(
    ("name", "given", "read"),
    [
        ("version", "2", 2),
        ("topic_partitions", "12", 12),
        ("broker_commit_interval", "1.5", 1.5),
        ("broker_commit_interval", 1, 1.0),
        ("broker_commit_interval", timedelta(milliseconds=250), 0.25),
        ("broker_commit_interval", "120/m", 2.0),
        ("producer_acks", "all", -1),
        ("producer_acks", "1", 1),
        ("processing_guarantee", "exactly_once", ProcessingGuarantee.EXACTLY_ONCE),
        ("logging_config", '{"version": 1}', {"version": 1}),
        ("worker_redirect_stdouts_level", "error", 40),
        ("worker_redirect_stdouts_level", "CRITICAL", 50),
        ("worker_redirect_stdouts_level", "15", 15),
        ("worker_redirect_stdouts_level", 15, 15),
        ("autodiscover", ("a", "b"), ["a", "b"]),
        ("datadir", Path("/d"), Path("/d")),
    ],
)
def test_values_are_converted(name: str, given: Any, read: Any) -> None:
    """(pitfalls C56: the version as text)"""
    assert getattr(conf(**{name: given}), name) == read


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin"])
def test_a_timezone_may_be_given_by_name(name: str) -> None:
    """(pitfalls C55)"""
    assert str(conf(timezone=name).timezone) == name


def test_credentials_are_never_shown() -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        conf(broker_credentials="s3cret")
    assert "s3cret" not in str(caught.value)
    settings = conf(broker_credentials=SASLCredentials(username="u", password="s3cret"))
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in repr(vars(settings))


def test_a_tls_context_makes_credentials() -> None:
    context = ssl.create_default_context()
    ways: list[dict[str, Any]] = [{"broker_credentials": context}, {"ssl_context": context}]
    for given in ways:
        credentials = conf(**given).broker_credentials
        assert isinstance(credentials, SSLCredentials)
        assert credentials.ssl_context is context
    assert conf().broker_credentials is None


def test_settings_that_contradict_each_other_are_an_error() -> None:
    with pytest.raises(ImproperlyConfigured, match="below 'broker_session_timeout'"):
        conf(broker_session_timeout=2.0)
    with pytest.raises(ImproperlyConfigured, match="needs -1"):
        conf(processing_guarantee="exactly_once", producer_acks=1)
    with pytest.raises(ImproperlyConfigured, match="'producer_max_request_size'"):
        conf(producer_max_batch_size=2_000_000)


# -- classes -------------------------------------------------------------------------------------


def test_a_path_is_imported_at_the_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lazy_cls.py").write_text("class Agent: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = conf(Agent="lazy_cls.Agent")
    assert "lazy_cls" not in sys.modules
    assert settings.Agent is sys.modules["lazy_cls"].Agent


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("nowhere.agents:Agent", "no module 'nowhere'"),
        ("nowhere.agents.Agent", "no module 'nowhere'"),
        ("collections.abcd:Agent", "no module 'collections.abcd'"),
        ("collections.OrderedDic", "'collections' has no 'OrderedDic'.*mean 'OrderedDict'"),
    ],
)
def test_an_unimportable_path_names_setting_path_and_what_is_missing(
    path: str, missing: str
) -> None:
    settings = conf(Agent=path)
    with pytest.raises(ImproperlyConfigured, match=f"setting 'Agent' is '{path}', but .*{missing}"):
        _ = settings.Agent


# -- id, version, directories --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "id"),
    [
        ({}, "x"),
        ({"version": 2}, "x-v2"),
        ({"version": "2"}, "x-v2"),
        ({"id_format": "{id}_{self.version}"}, "x_1"),
        ({"id_format": "{id}_{self.version}", "version": 2}, "x_2"),
        ({"id_format": "{self.name}.{self.topic_partitions}"}, "x.8"),
    ],
)
def test_the_id_is_composed(given: dict[str, Any], id: str) -> None:
    """(pitfalls B4, C56)"""
    settings = conf(**given)
    assert (settings.id, settings.name) == (id, "x")


@pytest.mark.parametrize(
    "format", ["{foo}", "{0}", "{self.foo}", "{id", "{self.id}", "{self.Agnt}"]
)
def test_an_id_format_that_cannot_be_filled_in_names_the_setting(format: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="setting 'id_format'"):
        conf(id_format=format)


@pytest.mark.parametrize("id", ["", None])
def test_an_app_without_an_id_is_an_error(id: str | None) -> None:
    with pytest.raises(ImproperlyConfigured, match="id"):
        Settings(id, env={})


def test_the_id_follows_an_assigned_version() -> None:
    settings = conf()
    assert settings.id == "x"
    settings.version = 2
    assert (settings.id, settings.appdir) == ("x-v2", Path("x-data/v2"))
    settings.id = "y"
    assert (settings.id, settings.name, settings.datadir) == ("y-v2", "y", Path("y-data"))
    with pytest.raises(ImproperlyConfigured, match="'id'"):
        settings.id = None


def test_directories() -> None:
    settings = conf(version=2)
    assert settings.datadir == Path("x-data")
    assert settings.appdir == Path("x-data/v2")
    assert settings.tabledir == Path("x-data/v2/tables")
    assert conf(tabledir="/abs").tabledir == Path("/abs")
    assert conf(datadir="{appid}-{conf.version}").datadir == Path("x-1")
    assert conf(datadir="~/d").datadir == Path("~/d").expanduser()


def test_old_versions_are_found(tmp_path: Path) -> None:
    for version in (0, 2, 3, 4):
        (tmp_path / f"v{version}").mkdir()
    settings = conf(datadir=tmp_path, version=4)
    assert [p.name for p in settings.find_old_versiondirs()] == ["v3", "v2", "v0"]
    assert settings.data_directory_for_version(7) == tmp_path / "v7"


# -- what depends on what ------------------------------------------------------------------------


def test_the_canonical_url_follows_host_and_port() -> None:
    settings = conf(web_host="node")
    assert settings.canonical_url == URL("http://node:6066")
    settings.web_port = 7000
    assert settings.canonical_url == URL("http://node:7000")
    settings.canonical_url = "https://other/"
    settings.web_port = 7001
    assert settings.canonical_url == URL("https://other")


@pytest.mark.parametrize(
    ("given", "url"),
    [("node7", "http://node7:6066"), ("node7:80", "http://node7:80"), ("::1", "http://[::1]:6066")],
)
def test_the_canonical_url_may_be_a_host_name(given: str, url: str) -> None:
    assert str(conf(canonical_url=given).canonical_url) == str(URL(url))


def test_the_commit_interval_is_shorter_under_exactly_once() -> None:
    settings = conf(processing_guarantee="exactly_once")
    assert settings.broker_commit_interval == 0.1
    settings.processing_guarantee = ProcessingGuarantee.AT_LEAST_ONCE
    assert settings.broker_commit_interval == 3.0
    settings.broker_commit_interval = 1.0
    settings.processing_guarantee = "exactly_once"
    assert settings.broker_commit_interval == 1.0


def test_debug_shows_statistics() -> None:
    assert conf(debug=True).web_stats_enabled is True
    assert conf(debug=True, web_stats_enabled=False).web_stats_enabled is False


# -- assigning -----------------------------------------------------------------------------------


def test_broker_url_and_store_url_are_the_settings_broker_and_store() -> None:
    """(pitfalls D)"""
    settings = conf(broker_url="kafka://a", store_url="rocksdb://")
    assert settings.broker_url == settings.broker == [URL("kafka://a:9092")]
    assert settings.store_url == settings.store
    settings.broker_url = "kafka://b"
    assert settings.broker[0].host == "b"


def test_assigning_none_means_the_default() -> None:
    settings = conf(broker="kafka://a", topic_partitions=3)
    unset: dict[str, str] = {}
    settings.broker_url = unset.get("FAUST_BROKER")
    settings.topic_partitions = None
    assert settings.broker[0].host == "localhost"
    assert settings.topic_partitions == 8
    assert settings.source_of("broker").level == "default"


def test_sealing_lets_the_command_line_win_over_signal_handlers() -> None:
    settings = conf(cli={"web_port": 7000})
    settings.web_port = 1
    settings.broker = "kafka://handler"
    settings.seal()
    assert settings.web_port == 7000
    assert settings.canonical_url.port == 7000
    assert settings.broker[0].host == "handler"


def test_sealing_finds_contradictions() -> None:
    settings = conf()
    settings.broker_session_timeout = 2.0
    with pytest.raises(ImproperlyConfigured, match="broker_heartbeat_interval"):
        settings.seal()


def test_derived_attributes_cannot_be_assigned() -> None:
    settings = conf()
    with pytest.raises(AttributeError):
        settings.name = "y"  # type: ignore[misc]


def test_two_settings_objects_do_not_touch_each_other() -> None:
    first, second = conf("a"), conf("b")
    first.web_port = 1
    first.broker = "kafka://a"
    assert second.web_port == 6066
    assert second.broker[0].host == "localhost"


# -- subclasses, types, weight -------------------------------------------------------------------


class MySettings(Settings):
    my_limit = setting(Int(1), default=5, env="MY_LIMIT", text="A limit of ours.")


def test_a_subclass_adds_settings() -> None:
    assert MySettings("x", env={}).my_limit == 5
    assert MySettings("x", env={"MY_LIMIT": "7"}).my_limit == 7
    assert MySettings("x", env={}, my_limit=6).topic_partitions == 8
    assert "my_limit" not in Settings.SETTINGS


def test_settings_are_typed() -> None:
    settings = conf()
    assert_type(settings.topic_partitions, int)
    assert_type(settings.broker, list[URL])
    assert_type(settings.broker_commit_interval, float)
    assert_type(settings.blocking_timeout, float)
    assert_type(settings.origin, str | None)
    assert_type(settings.datadir, Path)
    assert_type(settings.broker_credentials, Credentials | None)
    assert_type(settings.id, str)
    assert_type(settings.processing_guarantee, ProcessingGuarantee)


def test_plain_settings_are_plain_attributes() -> None:
    settings = conf()
    lazy = {name for name, d in Settings.SETTINGS.items() if d.lazy}
    for name in Settings.setting_names() - lazy:
        assert name in vars(settings)
        assert not hasattr(Settings, name)
    _ = settings.broker
    assert vars(settings)["broker"] is settings.broker


def test_importing_the_settings_imports_nothing_heavy() -> None:
    heavy = ["yarl", "aiohttp", "asyncio", "ssl", "logging", "pathlib", "mode", "zoneinfo"]
    heavy += ["difflib", "uuid", "croniter"]
    code = (
        f"import sys; import faust.settings; faust.settings.Settings('x', env={{}});"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    root = str(Path(__file__).parents[3])
    out = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env={"PYTHONPATH": root},
    )
    assert out.stdout.strip() == "[]"


def test_ordinary_use_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings = conf(broker="kafka://a;b", version=2)
        settings.web_port = 3
        settings.seal()
