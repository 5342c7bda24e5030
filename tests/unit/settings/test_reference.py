"""The reference is made from the definitions."""

from faust.settings import Settings
from faust.settings.reference import reference

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
