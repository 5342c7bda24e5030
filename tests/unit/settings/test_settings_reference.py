"""The reference is made from the definitions."""

from pathlib import Path

import pytest

import tools.settings
from faust.settings import Settings
from faust.settings.keywords import SettingsKeywords
from faust.settings.reference import help_text, reference
from tools.settings import stale

BROKER = """### `broker`

Where the broker is. `kafka://host:port;host:port` (`aiokafka://` is the same) is Apache Kafka,"""

BROKER_FACTS = """- Default: `'kafka://localhost:9092'`
- Environment: `FAUST_BROKER_URL`, `BROKER_URL`
- Also called: `broker_url`
- Was called: `url`
- Since: 1.0"""


def test_the_reference_has_every_setting_with_its_facts() -> None:
    text = reference()
    for name in Settings.SETTINGS:
        assert f"### `{name}`\n" in text
    assert BROKER in text
    assert BROKER_FACTS in text
    assert "## Agent RPC\n" in text


def test_what_is_made_from_the_definitions_is_fresh() -> None:
    assert stale() == [], "run python -m tools.settings"


def test_stale_files_are_found_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs/settings.md"
    monkeypatch.setattr(tools.settings, "ROOT", tmp_path)
    monkeypatch.setattr(tools.settings, "FILES", {page: reference})
    assert tools.settings.main(["--check"]) == 1
    assert not page.exists()
    assert tools.settings.main([]) == 0
    assert page.read_text() == reference()
    assert tools.settings.main(["--check"]) == 0
    assert capsys.readouterr().out == "docs/settings.md\n" * 2


def test_the_keywords_of_app_are_the_settings_and_their_other_names() -> None:
    aliases = {alias for d in Settings.SETTINGS.values() for alias in d.aliases}
    assert SettingsKeywords.__annotations__.keys() == {*Settings.SETTINGS, *aliases} - {"id"}


def test_a_setting_can_be_told_in_one_sentence() -> None:
    assert help_text("web_port") == "Port of the web server; 0 takes any that is free [6066]."
    for name in Settings.SETTINGS:
        sentence = help_text(name)
        assert sentence.endswith("].")
        assert "`" not in sentence
