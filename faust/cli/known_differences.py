"""What shows that an app will notice a difference from earlier versions of Faust.

There is an entry for every difference in ``docs/migrating.md``, in the words of its tables.
The rest of those tables, which no source shows, is in `faust.cli.migration_table`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from faust.cli.differences import Difference, Sign
from faust.cli.oldcode import Fact

__all__ = ["DIFFERENCES"]


def _by_function(fact: Fact) -> bool:
    return fact.shape in ("Lambda", "Name")


def _is_exactly_once(fact: Fact) -> bool:
    return str(fact.value).lower().endswith("exactly_once")


def _begins(text: str) -> Callable[[Fact], bool]:
    return lambda fact: str(fact.value).startswith(text)


def _sends_none(fact: Fact) -> bool:
    return "value" in fact.given and fact.given["value"] is None


def _is_unknown(fact: Fact) -> bool:
    from faust.settings import Settings
    from faust.settings.retired import RETIRED

    return fact.shape != "subclass" and fact.name not in {
        *_ARGUMENTS,
        *RETIRED,
        *Settings.setting_names(),
        *(
            name
            for each in Settings.SETTINGS.values()
            for name in (*each.aliases, *each.renamed_from)
        ),
    }


def _is_retired(fact: Fact) -> bool:
    from faust.settings.retired import RETIRED

    return fact.name in RETIRED


#: Arguments of an app that are no settings.
_ARGUMENTS = ("id", "monitor", "config_source", "loop", "beacon")

call = partial(Sign, "call")
setting = partial(Sign, "setting")
imported = partial(Sign, "import")
class_ = partial(Sign, "class")
attribute = partial(Sign, "attribute")
agent = partial(Sign, "agent")
write = partial(Sign, "write")
change = partial(Sign, "change")
with_ = partial(Sign, "with")
and_ = partial(Sign, "and")

DIFFERENCES = (
    Difference(
        "Errors",
        "An exception in an agent is logged, the event is acknowledged and lost.",
        call("faust.App", lacking="agent_error_policy"),
    ),
    Difference(
        "Errors",
        "An event that cannot be decoded crashes the agent and is lost.",
        call("faust.App", lacking="decode_error_policy"),
    ),
    Difference(
        "Errors",
        "Supervisors restart agents (`supervisor_strategy`, `agent_supervisor`).",
        setting("agent_supervisor"),
        call("app.agent", having="supervisor_strategy"),
    ),
    Difference(
        "Errors",
        "Errors in the key function of `group_by` are logged, the event is skipped.",
        call("stream.group_by", where=_by_function),
    ),
    Difference(
        "Errors",
        "Errors while importing a package in `autodiscover` are logged.",
        setting("autodiscover"),
    ),
    Difference(
        "Delivery and rebalancing",
        "New topics are subscribed to after 45 s; patterns never.",
        call("app.topic", having="pattern"),
    ),
    Difference(
        "Delivery and rebalancing",
        "`stream_publish_on_commit`.",
        setting("stream_publish_on_commit"),
    ),
    Difference(
        "Delivery and rebalancing",
        '`processing_guarantee="exactly_once"` makes sends, changelogs and offsets one '
        "transaction.",
        setting("processing_guarantee", where=_is_exactly_once),
    ),
    Difference(
        "Delivery and rebalancing",
        "A first read without a committed offset may skip events under `latest`.",
        setting("consumer_auto_offset_reset", where=lambda fact: fact.value == "latest"),
    ),
    Difference(
        "Brokers",
        "`kafka://` only (and an unfinished `confluent://`).",
        setting("broker", where=_begins("confluent")),
        setting("broker_url", where=_begins("confluent")),
    ),
    Difference(
        "Brokers",
        "`broker_consumer`, `broker_producer`: two brokers.",
        setting("broker_consumer"),
        setting("broker_producer"),
    ),
    Difference(
        "Brokers",
        "Versions of the protocol are settings.",
        setting("*_api_version"),
    ),
    Difference(
        "Agents",
        "Two agents with one name: the second replaces the first.",
        agent("same name"),
    ),
    Difference(
        "Agents",
        "An agent that is not `async`, or has sinks and does not yield, fails when started.",
        agent("not async"),
    ),
    Difference(
        "Agents",
        "`test_context()` replaces the channel; what the agent sends goes to the real broker.",
        call("*.test_context"),
    ),
    Difference(
        "Agents",
        "Agents with `concurrency` above 1 may write tables.",
        write("concurrency"),
    ),
    Difference(
        "Agents",
        "`use_reply_headers=False` puts the address for the reply into the value.",
        call("app.agent", having="use_reply_headers"),
    ),
    Difference(
        "Streams and channels",
        "`noack()` is forgotten by the next operator.",
        call("stream.noack"),
    ),
    Difference(
        "Streams and channels",
        "`echo()` drops keys and headers.",
        call("stream.echo"),
    ),
    Difference(
        "Streams and channels",
        "`async with event` acknowledges after an exception, too.",
        with_("event"),
    ),
    Difference(
        "Streams and channels",
        "`event.acked` is never set.",
        attribute("event.acked"),
    ),
    Difference(
        "Streams and channels",
        "`s1 & s2`, `join` and its relatives: accepted, and wrong or `NotImplementedError`.",
        call("stream.join"),
        call("stream.*_join"),
        call("table.*join"),
        call("stream.combine"),
        and_("stream"),
    ),
    Difference(
        "Streams and channels",
        "`topic.send(value=None)` writes `null`.",
        call("*.send", where=_sends_none),
        call("*.cast", where=_sends_none),
    ),
    Difference(
        "Streams and channels",
        "Deriving a topic changes the shared schema, and drops `replicas`, `acks`, `maxsize`.",
        call("*.derive"),
        call("*.derive_topic"),
    ),
    Difference(
        "Streams and channels",
        "`stream_buffer_maxsize` counts events in a queue.",
        setting("stream_buffer_maxsize"),
    ),
    Difference(
        "Tables",
        "Objects changed in place are not recorded.",
        change("item"),
        change("item.append"),
        change("item.update"),
        change("item.extend"),
        change("item.add"),
        change("item.setdefault"),
    ),
    Difference(
        "Tables",
        "Tables may be written from timers, pages and channels.",
        write("timer"),
        write("crontab"),
        write("task"),
        write("page"),
        write("command"),
    ),
    Difference(
        "Tables",
        "Another number of partitions than the source topic: an error late, or wrong results.",
        call("app.*Table", having="partitions"),
    ),
    Difference(
        "Tables",
        "Window ranges end 0.1 s before the next (`[1000.0,1009.9]`).",
        call("table.tumbling"),
        call("table.hopping"),
        call("table.using_window"),
    ),
    Difference(
        "Tables",
        "`now()` and `relative_to_now()` within a stream use the last window written.",
        call("item.now"),
        call("table.relative_to_now"),
    ),
    Difference(
        "Tables",
        "`len`, `keys`, `items` of windowed tables need `key_index=True`, a second table.",
        call("app.*Table", having="key_index"),
    ),
    Difference(
        "Tables",
        "Windows expire by the wall clock, locally, without tombstones; `on_window_close` "
        "gets no data.",
        call("app.*Table", having="on_window_close"),
    ),
    Difference(
        "Tables",
        "`app.SetTable` logs operations, one by one; `table[k] = {...}` and operands "
        "other than sets fail.",
        call("app.SetTable"),
        call("app.SetGlobalTable"),
    ),
    Difference(
        "Tables",
        "The manager of a set table listens on `{table}-setmanager`.",
        call("app.Set*Table", having="start_manager"),
    ),
    Difference(
        "Tables",
        "Two partitions may write one key of a global table.",
        call("app.GlobalTable"),
    ),
    Difference(
        "Tables",
        "`recovery_buffer_size`, `standby_buffer_size`, `use_partitioner`.",
        call("app.*Table", having="recovery_buffer_size"),
        call("app.*Table", having="standby_buffer_size"),
        call("app.*Table", having="use_partitioner"),
    ),
    Difference(
        "Tables",
        "RocksDB files of an earlier version.",
        setting("store", where=_begins("rocksdb")),
        setting("store_url", where=_begins("rocksdb")),
    ),
    Difference(
        "Tables",
        "The Aerospike store.",
        setting("store", where=_begins("aerospike")),
        setting("store_url", where=_begins("aerospike")),
        setting("*aerospike*"),
    ),
    Difference(
        "Settings",
        "Unknown settings are ignored.",
        setting("*", where=_is_unknown),
        general=True,
    ),
    Difference(
        "Settings",
        "Settings that have lost their meaning.",
        setting("*", where=_is_retired),
        general=True,
    ),
    Difference(
        "Settings",
        "`url`, `producer_linger_ms`.",
        setting("url"),
        setting("producer_linger_ms"),
    ),
    Difference(
        "Settings",
        "`stream_buffer_maxsize` is 4,096.",
        setting("stream_buffer_maxsize"),
    ),
    Difference(
        "Settings",
        "`loghandlers` are added to those there are.",
        setting("loghandlers"),
    ),
    Difference(
        "Settings",
        "`broker_url`, `store_url` have no effect.",
        setting("broker_url"),
        setting("store_url"),
    ),
    Difference(
        "Settings",
        "`id_format` and `APP_VERSION` do not enter the id.",
        setting("id_format"),
    ),
    Difference(
        "Web",
        "`web_cors_options` limits methods to GET, PUT, POST and DELETE.",
        setting("web_cors_options"),
    ),
    Difference(
        "Web",
        "Blueprints, view caches, `/graph/`.",
        imported("faust.web.Blueprint"),
        imported("faust.web.blueprints*"),
        imported("faust.web.cache*"),
        imported("faust.web.Cache*"),
        setting("web_graph_enabled"),
    ),
    Difference(
        "Sensors and others",
        "Sensors are called for every event.",
        class_("faust.Sensor"),
        class_("faust.sensors.*Sensor"),
        class_("faust.Monitor"),
        class_("faust.sensors.*Monitor"),
    ),
    Difference(
        "Sensors and others",
        "Statsd, Datadog, OpenTelemetry and tracing sensors.",
        imported("faust.sensors.datadog*"),
        imported("faust.sensors.statsd*"),
        imported("faust.sensors.opentelemetry*"),
        imported("faust.sensors.distributed_tracing*"),
    ),
    Difference(
        "Sensors and others",
        "LiveCheck.",
        imported("faust.livecheck*"),
        imported("faust.LiveCheck"),
        call("app.LiveCheck"),
    ),
    Difference(
        "Sensors and others",
        "Compiled and plain code behave differently (`cython_optimizations`).",
        setting("cython_optimizations"),
    ),
)
