"""``faust settings``: every value, where it came from, and no secrets."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest

import faust
from faust.auth import SASLCredentials
from faust.cli.faust import run_program
from faust.settings import setting
from faust.settings.kinds import JSONMapping, Text


def run(app: faust.App, *arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run_program(list(arguments), app=app)
    return status, out.getvalue(), err.getvalue()


def rows(app: faust.App, *arguments: str) -> dict[str, dict[str, Any]]:
    status, out, err = run(app, "--json", *arguments)
    assert status == 0, err
    return {row["setting"]: row for row in json.loads(out)}


def test_every_setting_is_shown_with_its_value_and_where_it_came_from() -> None:
    app = faust.App(
        "shown",
        store="rocksdb://",
        web_port=1,
        config_source={"topic_partitions": 3},
        env={"WEB_HOST": "here"},
    )
    found = rows(app, "-D", "elsewhere", "settings")
    assert found.keys() == faust.Settings.SETTINGS.keys()
    for name, value, source in (
        ("store", "rocksdb://", "keyword"),
        ("web_port", 1, "keyword"),
        ("topic_partitions", 3, "config source mapping"),
        ("web_host", "here", "environment WEB_HOST"),
        ("datadir", "elsewhere", "command line"),
        ("broker", "kafka://localhost:9092", "default"),
        ("web_enabled", True, "default"),
        ("env_prefix", None, "default"),
        ("processing_guarantee", "at_least_once", "default"),
        ("Topic", "faust.topics.Topic", "default"),
        ("broker_unavailable_timeout", None, "default"),
    ):
        assert (found[name]["value"], found[name]["source"]) == (value, source), name


def test_the_table_can_be_narrowed_down() -> None:
    app = faust.App("shown", web_port=7000, env={})
    app.conf.origin = "shop"
    assert rows(app, "settings", "--given").keys() == {"id", "origin", "web_port"}
    names = {name for name in faust.Settings.SETTINGS if "reply_" in name}
    assert rows(app, "settings", "reply_").keys() == names
    status, out, _ = run(app, "settings", "web_port")
    assert status == 0
    assert "│ web_port │ 7000  │ keyword │" in out
    status, _, err = run(app, "settings", "wep")
    assert (status, "no setting with 'wep'" in err) == (2, True)


class SecretSettings(faust.Settings):
    """Settings with secrets."""

    payments_token = setting(Text(), default=None, text="What we pay with.")
    payments = setting(JSONMapping(), default=None, text="How we pay.")


class SecretApp(faust.App):
    """Has them."""

    Settings = SecretSettings


def test_secrets_are_not_shown() -> None:
    given: dict[str, Any] = {
        "broker": "kafka://user:s3cret@host",
        "broker_credentials": SASLCredentials(username="u", password="s3cret"),
        "payments_token": "s3cret",
        "payments": {"host": "h", "password": "s3cret", "deep": {"api_key": "s3cret"}},
        "web_application_options": {"client_max_size": 5, "secret": "s3cret"},
    }
    app = SecretApp("shown", env={}, **given)
    for arguments in (["settings"], ["--json", "settings"]):
        _, out, _ = run(app, *arguments)
        assert "payments_token" in out
        assert "s3cret" not in out
    found = rows(app, "settings")
    assert found["broker"]["value"] == "kafka://user:***@host:9092"
    assert found["payments_token"]["value"] == "***"
    assert found["payments"]["value"] == {
        "host": "h",
        "password": "***",
        "deep": {"api_key": "***"},
    }


def test_a_class_that_cannot_be_imported_is_shown_with_the_reason() -> None:
    found = rows(faust.App("shown", Router="nowhere:Router", env={}), "settings", "Router")
    assert "no module 'nowhere'" in found["Router"]["value"]


@pytest.mark.parametrize("text", ["0", "false"])
def test_debug_is_off_where_the_environment_says_so(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(pitfalls C66)"""
    monkeypatch.setenv("FAUST_DEBUG", text)
    assert rows(faust.App("shown", env={}), "settings", "debug")["debug"]["value"] is False


def test_the_option_debug_turns_the_setting_on() -> None:
    """(pitfalls B7)"""
    found = rows(faust.App("shown", env={}), "--debug", "settings")
    assert found["debug"]["value"] is True
    assert found["web_stats_enabled"]["value"] is True


def test_the_short_option_for_the_data_directory_counts() -> None:
    """(pitfalls B6)"""
    found = rows(faust.App("shown", env={}), "-D", "other", "settings", "dir")
    assert found["tabledir"]["value"] == "other/v1/tables"
