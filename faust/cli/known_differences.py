"""What differs from earlier versions of Faust: what to do about it, and what shows it.

There is an entry for every difference in ``docs/migrating.md``, in the words of its tables; where
no source shows it, it is in `faust.cli.unseen_differences`.
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
        "The event's table writes are undone, and it is tried again "
        "(`agent_error_retries`, 5; pauses from `agent_error_backoff`, 0.1 s, to "
        "`agent_error_backoff_max`, 5 s); then the worker stops with one sentence and "
        'status 1. `agent_error_policy="skip"`, or `@app.agent(error_policy="skip")`, '
        "does what earlier versions did, and counts it.",
        'Decide per app or agent: keep the default, or set agent_error_policy="skip" to '
        "leave failing events out as before.",
        call("faust.App", lacking="agent_error_policy"),
    ),
    Difference(
        "Errors",
        "An event that cannot be decoded crashes the agent and is lost.",
        'The worker stops. `decode_error_policy="skip"` leaves it out, logged and counted.',
        'Keep the default, or set decode_error_policy="skip".',
        call("faust.App", lacking="decode_error_policy"),
    ),
    Difference(
        "Errors",
        "Supervisors restart agents (`supervisor_strategy`, `agent_supervisor`).",
        "Accepted; the policies above decide.",
        "Remove it; agent_error_policy, agent_error_retries and agent_error_backoff decide.",
        setting("agent_supervisor"),
        call("app.agent", having="supervisor_strategy"),
    ),
    Difference(
        "Errors",
        "Errors in the key function of `group_by` are logged, the event is skipped.",
        "They go the way of any exception.",
        "See that the function cannot raise for an event that you want to keep.",
        call("stream.group_by", where=_by_function),
    ),
    Difference(
        "Errors",
        "Errors while importing a package in `autodiscover` are logged.",
        "They stop the worker.",
        "Import what is scanned once, and repair what cannot be imported.",
        setting("autodiscover"),
    ),
    Difference(
        "Delivery and rebalancing",
        "New topics are subscribed to after 45 s; patterns never.",
        "At once; topics that match a pattern within 30 s.",
        "Nothing, unless you worked around it.",
        call("app.topic", having="pattern"),
    ),
    Difference(
        "Delivery and rebalancing",
        "`stream_publish_on_commit`.",
        "Refused.",
        "Remove it.",
        setting("stream_publish_on_commit"),
    ),
    Difference(
        "Delivery and rebalancing",
        '`processing_guarantee="exactly_once"` makes sends, changelogs and offsets one '
        "transaction.",
        "Not there yet. Tables are exact without it; what agents send may be sent again "
        "after a kill.",
        'Use "at_least_once"; make what reads the outputs accept a message twice.',
        setting("processing_guarantee", where=_is_exactly_once),
    ),
    Difference(
        "Delivery and rebalancing",
        "`table_standby_replicas` keeps warm copies.",
        "Not there yet: another worker restores from the changelog.",
        'Remove it, or set it to 0; for fast restarts use store="rocksdb://" on a disk that stays.',
        setting("table_standby_replicas", where=lambda fact: fact.value != 0),
    ),
    Difference(
        "Delivery and rebalancing",
        "A first read without a committed offset may skip events under `latest`.",
        "The position it starts from is committed before the first event. Partitions "
        "added later start at their beginning.",
        "Nothing, unless you worked around it.",
        setting("consumer_auto_offset_reset", where=lambda fact: fact.value == "latest"),
    ),
    Difference(
        "Brokers",
        "`kafka://` only (and an unfinished `confluent://`).",
        "`kafka://`, `sqlite://`, `memory://`.",
        "Use kafka://.",
        setting("broker", where=_begins("confluent")),
        setting("broker_url", where=_begins("confluent")),
    ),
    Difference(
        "Brokers",
        "`broker_consumer`, `broker_producer`: two brokers.",
        "Refused: one broker is read and written.",
        "Use the setting broker; an app for each broker, if there are two.",
        setting("broker_consumer"),
        setting("broker_producer"),
    ),
    Difference(
        "Brokers",
        "Versions of the protocol are settings.",
        "Agreed with the broker; the settings are ignored.",
        "Remove it.",
        setting("*_api_version"),
    ),
    Difference(
        "Agents",
        "Two agents with one name: the second replaces the first.",
        "`ImproperlyConfigured`.",
        "Give one of them another name; its topic and its group position change with it, "
        "unless you name the topic.",
        agent("same name"),
    ),
    Difference(
        "Agents",
        "An agent that is not `async`, or has sinks and does not yield, fails when started.",
        "`ImproperlyConfigured` when it is defined.",
        "Make it async.",
        agent("not async"),
    ),
    Difference(
        "Agents",
        "`test_context()` replaces the channel; what the agent sends goes to the real broker.",
        "The real engine on a broker in the test: `group_by`, tables and sends work, "
        "nothing leaves the process. Values are serialized.",
        "Values are serialized now: compare with what comes out of the topic, and put "
        "keys where tables are written.",
        call("*.test_context"),
    ),
    Difference(
        "Agents",
        "Agents with `concurrency` above 1 may write tables.",
        "`TypeError`: events of one key could overtake each other.",
        "Use concurrency=1 and more partitions, or write the table in an agent of its own.",
        write("concurrency"),
    ),
    Difference(
        "Streams and channels",
        "`noack()` is forgotten by the next operator.",
        "Kept.",
        "Nothing, unless you repeated it.",
        call("stream.noack"),
    ),
    Difference(
        "Streams and channels",
        "`echo()` drops keys and headers.",
        "Keeps them.",
        "Nothing, unless the topics' readers relied on it.",
        call("stream.echo"),
    ),
    Difference(
        "Streams and channels",
        "`async with event` acknowledges after an exception, too.",
        "Not after an exception.",
        "Look at what happens after an exception in the block: the event comes again.",
        with_("event"),
    ),
    Difference(
        "Streams and channels",
        "`event.acked` is never set.",
        "It is.",
        "Nothing, unless you relied on it being false.",
        attribute("event.acked"),
    ),
    Difference(
        "Streams and channels",
        "`s1 & s2`, `join` and its relatives: accepted, and wrong or `NotImplementedError`.",
        "Not there.",
        "Write one agent for both topics, with a table for what waits for its partner.",
        call("stream.join"),
        call("stream.*_join"),
        call("table.*join"),
        call("stream.combine"),
        and_("stream"),
    ),
    Difference(
        "Streams and channels",
        "`topic.send(value=None)` writes `null`.",
        "A tombstone.",
        "Nothing where a tombstone is meant; where null was: "
        'value=b"null", value_serializer="raw".',
        call("*.send", where=_sends_none),
        call("*.cast", where=_sends_none),
    ),
    Difference(
        "Streams and channels",
        "Deriving a topic changes the shared schema, and drops `replicas`, `acks`, `maxsize`.",
        "Neither.",
        "Nothing, unless you set them again.",
        call("*.derive"),
        call("*.derive_topic"),
    ),
    Difference(
        "Streams and channels",
        "`stream_buffer_maxsize` counts events in a queue.",
        "Counts the events handed to a stream and not finished; a batch may overshoot it once.",
        "Look at the number again: it bounds memory now, take() included.",
        setting("stream_buffer_maxsize"),
    ),
    Difference(
        "Tables",
        "Objects changed in place are not recorded.",
        "They are, when the event finishes.",
        "Remove what copies the value back, if you like; both work.",
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
        "`TypeError`: a write belongs to an event of a topic.",
        "Send a message to an agent that writes the table.",
        write("timer"),
        write("crontab"),
        write("task"),
        write("page"),
        write("command"),
    ),
    Difference(
        "Tables",
        "Another number of partitions than the source topic: an error late, or wrong results.",
        "One sentence at the start; a table without `partitions` takes those of the "
        "topics that its agents read.",
        "Use the partition count of the topics that feed it, or leave partitions= out.",
        call("app.*Table", having="partitions"),
    ),
    Difference(
        "Tables",
        "Window ranges end 0.1 s before the next (`[1000.0,1009.9]`).",
        "Half-open: `[1000.0,1010.0]`. Stored windows of earlier versions are not found.",
        "Give the table another name (or the app another version), and feed it from the start.",
        call("table.tumbling"),
        call("table.hopping"),
        call("table.using_window"),
    ),
    Difference(
        "Tables",
        "`now()` and `relative_to_now()` within a stream use the last window written.",
        "The clock.",
        "Use current() or relative_to_stream() where the events' time was meant.",
        call("item.now"),
        call("table.relative_to_now"),
    ),
    Difference(
        "Tables",
        "`len`, `keys`, `items` of windowed tables need `key_index=True`, a second table.",
        "They need nothing; `key_index` is accepted.",
        "Remove key_index=.",
        call("app.*Table", having="key_index"),
    ),
    Difference(
        "Tables",
        "Windows expire by the wall clock, locally, without tombstones; `on_window_close` "
        "gets no data.",
        "By the time that the partition's events have reached; in the changelog, too; "
        "`on_window_close` gets the last value. Windows restored expire like all others. "
        "What comes too late for a closed window is counted and logged.",
        "Look at the handler: it gets the window's last value, when the events' time has "
        "passed it.",
        call("app.*Table", having="on_window_close"),
    ),
    Difference(
        "Tables",
        "`app.SetTable` logs operations, one by one; `table[k] = {...}` and operands "
        "other than sets fail.",
        "A key has its whole set in the changelog (another form). Any iterable will do.",
        "Give the table another name, and feed it from the start.",
        call("app.SetTable"),
        call("app.SetGlobalTable"),
    ),
    Difference(
        "Tables",
        "The manager of a set table listens on `{table}-setmanager`.",
        "`{app id}-{table}-setmanager`.",
        "Send to the new topic.",
        call("app.Set*Table", having="start_manager"),
    ),
    Difference(
        "Tables",
        "Two partitions may write one key of a global table.",
        "`ConsistencyError`: a key belongs to the partition that wrote it first.",
        "Make sure that each key is written through events of one partition.",
        call("app.GlobalTable"),
    ),
    Difference(
        "Tables",
        "`recovery_buffer_size`, `standby_buffer_size`, `use_partitioner`.",
        "Accepted, without effect.",
        "Remove it.",
        call("app.*Table", having="recovery_buffer_size"),
        call("app.*Table", having="standby_buffer_size"),
        call("app.*Table", having="use_partitioner"),
    ),
    Difference(
        "Tables",
        "RocksDB files of an earlier version.",
        "Not read: restored from the changelog.",
        "Delete the old files; the first start restores.",
        setting("store", where=_begins("rocksdb")),
        setting("store_url", where=_begins("rocksdb")),
    ),
    Difference(
        "Tables",
        "The Aerospike store.",
        "Not there.",
        "Use rocksdb:// or memory://.",
        setting("store", where=_begins("aerospike")),
        setting("store_url", where=_begins("aerospike")),
        setting("*aerospike*"),
    ),
    Difference(
        "Settings",
        "Unknown settings are ignored.",
        "An error, with a suggestion.",
        "Correct the name, or remove it.",
        setting("*", where=_is_unknown),
        general=True,
    ),
    Difference(
        "Settings",
        "Settings that have lost their meaning.",
        "A warning where the app means the same without them, or where they are off; else an error "
        "that says what to use.",
        "Remove it; the worker says why.",
        setting("*", where=_is_retired),
        general=True,
    ),
    Difference(
        "Settings",
        "`url`, `producer_linger_ms`.",
        "Old names of `broker` and `producer_linger`: read, with a warning.",
        "Use the new names.",
        setting("url"),
        setting("producer_linger_ms"),
    ),
    Difference(
        "Settings",
        "`stream_buffer_maxsize` is 4,096.",
        "1,000, as the guide says; it counts events handed out and not finished.",
        "Look at the number again, if you set one.",
        setting("stream_buffer_maxsize"),
    ),
    Difference(
        "Settings",
        "`loghandlers` are added to those there are.",
        "They are the only ones.",
        "Add the handler for the console to the list, if you want it.",
        setting("loghandlers"),
    ),
    Difference(
        "Settings",
        "`broker_url`, `store_url` have no effect.",
        "They are `broker` and `store`.",
        "See that this is the URL that you want: it counts now.",
        setting("broker_url"),
        setting("store_url"),
    ),
    Difference(
        "Settings",
        "`id_format` and `APP_VERSION` do not enter the id.",
        "They do.",
        "See that the id stays what it was: group, topics and directories are named after it.",
        setting("id_format"),
    ),
    Difference(
        "Web",
        "`web_cors_options` limits methods to GET, PUT, POST and DELETE.",
        "All methods; what a page says itself (`cors_options`) goes before.",
        "Name methods in allow_methods, if they should be limited.",
        setting("web_cors_options"),
    ),
    Difference(
        "Web",
        "Blueprints, view caches, `/graph/`.",
        "Not there.",
        "Use @app.page for each view.",
        imported("faust.web.Blueprint"),
        imported("faust.web.blueprints*"),
        imported("faust.web.cache*"),
        imported("faust.web.Cache*"),
        setting("web_graph_enabled"),
    ),
    Difference(
        "Sensors and others",
        "Sensors are called for every event.",
        "Counting is by batch; a sensor that overrides a hook for single events still "
        "gets every one.",
        "See that on_stream_event_in and its like are still wanted: only overridden hooks "
        "are called for every event.",
        class_("faust.Sensor"),
        class_("faust.sensors.*Sensor"),
        class_("faust.Monitor"),
        class_("faust.sensors.*Monitor"),
    ),
    Difference(
        "Sensors and others",
        "Statsd, Datadog, OpenTelemetry and tracing sensors.",
        "Not there yet. Prometheus is.",
        "Use faust.sensors.prometheus, or a sensor of your own.",
        imported("faust.sensors.datadog*"),
        imported("faust.sensors.statsd*"),
        imported("faust.sensors.opentelemetry*"),
        imported("faust.sensors.distributed_tracing*"),
    ),
    Difference(
        "Sensors and others",
        "LiveCheck.",
        "Not there yet.",
        "Leave it out for now.",
        imported("faust.livecheck*"),
        imported("faust.LiveCheck"),
        call("app.LiveCheck"),
    ),
    Difference(
        "Sensors and others",
        "Compiled and plain code behave differently (`cython_optimizations`).",
        "There is one implementation.",
        "Remove it.",
        setting("cython_optimizations"),
    ),
)
