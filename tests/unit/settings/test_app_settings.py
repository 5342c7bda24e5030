"""Settings as an app sees them: where they are given, when they are read, when it is too late."""

from __future__ import annotations

import asyncio
import types
from pathlib import Path
from typing import Any

import pytest

import faust
from faust.exceptions import AlreadyConfiguredWarning, ImproperlyConfigured
from faust.settings import setting
from faust.settings.kinds import Int


def test_an_app_may_be_given_its_environment() -> None:
    app = faust.App("x", env={"TOPIC_PARTITIONS": "3"})
    assert app.conf.topic_partitions == 3
    assert app.conf.env == {"TOPIC_PARTITIONS": "3"}


def test_the_environment_of_the_process_is_read_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOPIC_PARTITIONS", "4")
    assert faust.App("x").conf.topic_partitions == 4


def test_command_line_environment_source_keyword_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole order, through an app."""
    app = faust.App("x", web_port=1, config_source={"web_port": 2}, env={"WEB_PORT": "3"})
    app.use_command_line(web_port=4)
    assert app.conf.web_port == 4
    assert str(app.conf.source_of("web_port")) == "command line"
    app = faust.App("x", web_port=1, config_source={"web_port": 2}, env={"WEB_PORT": "3"})
    assert app.conf.web_port == 3
    assert faust.App("x", web_port=1, config_source={"web_port": 2}, env={}).conf.web_port == 2
    assert faust.App("x", web_port=1, env={}).conf.web_port == 1
    assert faust.App("x", env={}).conf.web_port == 6066


def test_the_command_line_counts_also_where_the_settings_were_read_before() -> None:
    app = faust.App("x", env={"WEB_PORT": "3"})
    assert app.conf.web_port == 3
    app.use_command_line(web_port=4, web_host=None)
    assert app.conf.web_port == 4
    assert str(app.conf.source_of("web_port")) == "command line"


def test_the_prefix_holds_for_an_app() -> None:
    env = {"BROKER_URL": "kafka://wrong", "SHOP_BROKER_URL": "kafka://right"}
    assert faust.App("x", env_prefix="SHOP", env=env).conf.broker[0].host == "right"


# -- config sources ------------------------------------------------------------------------------


def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    (tmp_path / "shop_config.py").write_text("web_port = 5\nstore = 'rocksdb://'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = types.ModuleType("made_config")
    module.web_port = 5  # type: ignore[attr-defined]
    module.store = "rocksdb://"  # type: ignore[attr-defined]

    class Config:
        web_port = 5
        store = "rocksdb://"

    return [module, Config, Config(), "shop_config", {"web_port": 5, "store": "rocksdb://"}]


def test_settings_are_taken_from_a_module_an_object_a_path_and_a_mapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source in sources(tmp_path, monkeypatch):
        app = faust.App("x", env={})
        app.config_from_object(source)
        assert (app.conf.web_port, app.conf.store.scheme) == (5, "rocksdb")
        assert app.conf.source_of("web_port").level == "config source"


def test_a_source_is_read_when_it_is_needed_or_at_once_where_that_is_asked_for() -> None:
    read = []

    class Config:
        @property
        def web_port(self) -> int:
            read.append(1)
            return 5

    app = faust.App("x", env={})
    app.config_from_object(Config())
    assert not read
    assert app.conf.web_port == 5
    eager = faust.App("x", env={})
    eager.config_from_object(Config(), force=True)
    assert len(read) == 2


def test_a_source_that_is_not_there_is_an_error_unless_it_may_be_missing() -> None:
    app = faust.App("x", env={})
    app.config_from_object("nowhere.config")
    with pytest.raises(ImproperlyConfigured, match=r"'nowhere.config' cannot be read: .*'nowhere'"):
        _ = app.conf
    app = faust.App("x", env={}, web_port=5)
    app.config_from_object("nowhere.config", silent=True)
    assert app.conf.web_port == 5


def test_a_source_that_comes_after_the_settings_were_read_is_warned_about() -> None:
    app = faust.App("x", env={})
    assert app.conf.web_port == 6066
    with pytest.warns(AlreadyConfiguredWarning, match="'x' has been configured before") as caught:
        app.config_from_object({"web_port": 5})
    assert caught[0].filename == __file__
    assert app.conf.web_port == 5
    app.config_from_object({"web_port": 6}, force=True)
    assert app.conf.web_port == 6


# -- app.conf --------------------------------------------------------------------------------------


def test_conf_may_be_assigned() -> None:
    app = faust.App("x")
    app.conf = faust.Settings("y", web_port=7000, env={})
    assert (app.conf.id, app.conf.web_port) == ("y", 7000)
    assert app.topic("t").app.conf.id == "y"
    with pytest.raises(TypeError, match=r"must be faust\.Settings, not dict"):
        app.conf = {"web_port": 1}  # type: ignore[assignment]


def test_the_command_line_counts_with_assigned_settings_too() -> None:
    app = faust.App("x")
    app.use_command_line(web_port=7001)
    app.conf = faust.Settings("x", web_port=7000, env={})
    assert app.conf.web_port == 7001


def test_a_handler_may_assign_all_settings() -> None:
    app = faust.App("x", web_port=1)

    @app.on_before_configured.connect
    def configure(app: faust.App, **kwargs: Any) -> None:
        app.conf = faust.Settings("x", web_port=7000, env={})

    assert app.conf.web_port == 7000


def test_the_serializers_of_assigned_settings_count() -> None:
    app = faust.App("x")
    assert app.topic("t").prepare_value({"a": 1}, None)[0] == b'{"a":1}'
    app.conf = faust.Settings("x", value_serializer="json|binary", env={})
    assert app.topic("t").prepare_value({"a": 1}, None)[0] == b"eyJhIjoxfQ=="


def test_broker_url_none_means_the_default() -> None:
    """(pitfalls D: ``conf.broker_url = ...`` has no effect)"""
    app = faust.App("x", broker="kafka://given", env={})

    @app.on_configured.connect
    def configure(app: Any, conf: Any, **kwargs: Any) -> None:
        unset: dict[str, str] = {}
        conf.broker_url = unset.get("FAUST_BROKER")
        conf.store_url = "rocksdb://"

    assert [str(url) for url in app.conf.broker] == [faust.Settings.DEFAULT_BROKER_URL]
    assert faust.Settings.DEFAULT_BROKER_URL == "kafka://localhost:9092"
    assert app.conf.store.scheme == "rocksdb"


def running(app: faust.App, check: Any) -> None:
    async def main() -> None:
        async with app:
            check()

    asyncio.run(main())


def test_assigning_a_setting_while_the_app_runs_is_warned_about_and_done() -> None:
    app = faust.App("x", broker="memory://", web_enabled=False)
    app.conf.topic_partitions = 3

    def check() -> None:
        with pytest.warns(AlreadyConfiguredWarning, match="'topic_partitions'.* while") as caught:
            app.conf.topic_partitions = 4
        assert caught[0].filename == __file__
        assert app.conf.topic_partitions == 4
        with pytest.warns(AlreadyConfiguredWarning, match=r"app\.conf is assigned while"):
            app.conf = faust.Settings("x", broker="memory://", web_enabled=False)

    running(app, check)
    app.conf.topic_partitions = 5


def test_a_port_that_was_chosen_by_the_system_is_read_without_a_warning() -> None:
    app = faust.App("x", broker="memory://", web_bind="127.0.0.1", web_port=0)
    running(app, lambda: None)
    assert app.conf.web_port > 0


# -- strict ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["FAUST_STRICT", "F_STRICT"])
@pytest.mark.parametrize("text", ["1", "yes", "please"])
def test_strict_reading_before_finalize_is_an_error(variable: str, text: str) -> None:
    app = faust.App("x", env={variable: text})
    with pytest.raises(ImproperlyConfigured, match=r"FAUST_STRICT.*app 'x'.*app\.finalize\(\)"):
        _ = app.conf
    app.finalize()
    assert app.conf.id == "x"


@pytest.mark.parametrize("text", ["0", "false", "no", "off", ""])
def test_strict_is_off_where_it_says_so(text: str) -> None:
    """(pitfalls C66)"""
    assert faust.App("x", env={"FAUST_STRICT": text}).conf.id == "x"


def test_strict_is_read_from_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("F_STRICT", "1")
    with pytest.raises(ImproperlyConfigured):
        faust.App("x").topic("t")


def test_an_app_that_cannot_be_finalized_is_not() -> None:
    app = faust.App("x", env={"WEB_PORT": "many"})
    for _ in range(2):
        with pytest.raises(ImproperlyConfigured, match="WEB_PORT"):
            app.finalize()
        assert not app.finalized


@pytest.mark.parametrize("id", ["", None])
def test_an_app_without_an_id_cannot_be_finalized(id: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="id"):
        faust.App(id).finalize()


# -- settings of one's own -------------------------------------------------------------------------


class ShopSettings(faust.Settings):
    """With a setting of our own."""

    my_limit = setting(Int(1), default=5, env="MY_LIMIT", text="A limit of ours.")


class ShopApp(faust.App):
    """Has them."""

    Settings = ShopSettings


def test_an_app_may_have_settings_of_its_own() -> None:
    app = ShopApp("x", my_limit=6, env={})  # type: ignore[call-arg]  # of its own
    assert isinstance(app.conf, ShopSettings)
    assert app.conf.my_limit == 6
    assert app.conf.SETTINGS_BY_SECTION["Application"][0].name == "my_limit"
    other = ShopApp("x", env={"MY_LIMIT": "7"})
    assert isinstance(other.conf, ShopSettings)
    assert other.conf.my_limit == 7
    assert faust.App.Settings is faust.Settings
    with pytest.raises(ImproperlyConfigured, match="there is no setting 'my_limit'"):
        _ = faust.App("x", my_limit=6).conf  # type: ignore[call-arg]


def test_a_setting_in_milliseconds_is_read_in_seconds() -> None:
    """(contract: producer_linger_ms)"""
    with pytest.warns(FutureWarning, match=r"'producer_linger_ms' .* is now 'producer_linger'"):
        assert faust.Settings("x", producer_linger_ms=250, env={}).producer_linger == 0.25
    with pytest.warns(FutureWarning):
        conf = faust.Settings("x", env={"PRODUCER_LINGER_MS": "250"})
    assert conf.producer_linger == 0.25
    assert str(conf.source_of("producer_linger")) == "environment PRODUCER_LINGER_MS"
    with pytest.warns(FutureWarning):
        conf.producer_linger_ms = 500  # type: ignore[attr-defined]
    assert conf.producer_linger == 0.5
    with (
        pytest.warns(FutureWarning),
        pytest.raises(ImproperlyConfigured, match="a number of milliseconds, but is 'long'"),
    ):
        faust.Settings("x", producer_linger_ms="long", env={})
    with (
        pytest.warns(FutureWarning),
        pytest.raises(ImproperlyConfigured, match="same setting"),
    ):
        faust.Settings("x", producer_linger_ms=1, producer_linger=1, env={})


def test_reading_a_setting_that_never_was_gets_a_suggestion() -> None:
    with pytest.raises(AttributeError, match="'wep_port'; did you mean 'web_port'"):
        _ = faust.Settings("x", env={}).wep_port  # type: ignore[attr-defined]


def test_settings_can_be_copied() -> None:
    import copy

    conf = faust.Settings("x", web_port=7000, env={})
    assert copy.copy(conf).web_port == 7000
