"""What differs from earlier versions of Faust, and holds for every app: no source shows it.

It is in the words of the tables in ``docs/migrating.md``, by their sections.
"""

__all__ = ["UNSEEN"]

UNSEEN: dict[str, tuple[str, ...]] = {
    "Errors": (
        "`@app.agent(on_error=...)` is a `TypeError`.",
        "Configuration errors show a traceback.",
    ),
    "Delivery and rebalancing": (
        "A killed worker may count events in tables twice.",
        "`group_by` may forward an event twice after a crash, which is then counted twice.",
        "A rebalance stops all workers.",
        "An agent that blocks the loop loses its membership.",
        "Queues, also of in-memory channels, are emptied by every rebalance.",
        "A source topic that was deleted and made again goes on at the old offset.",
        "`broker_commit_interval` is 2.8 s.",
    ),
    "Brokers": (
        "`SSLCredentials(cafile=...)` needs `purpose`.",
        "A broker that is away at the start ends the worker.",
        "A source topic that does not exist: the agent waits silently.",
    ),
    "Agents": (
        "`@app.agent` without brackets leaves a broken object.",
        "`agent.send`, `channel.send` and `topic.send` are keyword-only.",
        "`ask` has no time-out, and waits 3 s at its first use.",
        "`ask` in a command starts tasks and timers, and does not end.",
        "An agent that raises never answers.",
        "Two yields for one request break the reply consumer.",
    ),
    "Streams and channels": (
        "`take(n)` needs `within`.",
        "`group_by(function)` needs `name`.",
        "`await stream.ack(event)`; `await event.ack()` fails.",
        "`channel.put()` before anybody reads is lost.",
        "Topic names over 249 characters are found late.",
        "An agent that never awaits blocks all others.",
    ),
    "Tables": (
        '`table["missing"]` returns the default.',
        "Reading sees one worker's partitions; which, depends.",
        "Windows with fractional or sub-second sizes fail or drift.",
        "No `table.sliding()`.",
        "Changelogs of windowed tables are `compact,delete`.",
        "No `app.Set`.",
        "RocksDB: one table's `reset_state()` deletes all; `clear()` fails; locked files "
        "are waited for 30 s.",
    ),
    "Settings": (
        "`key_serializer` is `raw`.",
        "`broker_commit_every` is 10,000.",
        "`producer_linger` is 0, `producer_max_batch_size` 16,384.",
        "`producer_metadata_max_age_ms`, `producer_connections_max_idle_ms` have a client of their "
        "own.",
        "`blocking_timeout` is off.",
        "`web_metrics_enabled` is off, and means `/performance/`.",
        "`broker_credentials` is read from `BROKER_CREDENTIALS`.",
        "`env_prefix` applies to all variables.",
        '`version="2"` is a `TypeError`.',
        "Assigning a setting that was read warns.",
        "`Settings.SETTINGS` holds parameters of `faust.types.settings.params`; settings of your "
        "own are made by decorators.",
        "Variables such as `DEBUG=0` count as true.",
        '`timezone="UTC"` needs pytz.',
        "`@app.on_configured` and others need `.connect`.",
        "`on_worker_init` is sent twice.",
    ),
    "Commands": (
        "Each takes a second at least; some do not end.",
        "`faust send`: types must be models; agents are found by attribute.",
        "`faust agents` fails on topics with patterns.",
        "No `topics`, no `settings`.",
        "`faust reset` deletes all tables' directories.",
        "`livecheck`.",
        "`completion` needs `click_completion`, and an app.",
        "`clean_versions` is no command under click 8; `clean-versions` is.",
        "`-K str` and `-V int` of `send` fail.",
        "One worker for each start.",
        "SIGQUIT is not handled.",
        "A printed table is ASCII where the output is no terminal.",
        "`-D` is ignored.",
        "A second signal is ignored.",
        "What the app prints becomes log lines.",
    ),
    "Web": (
        "`/` says `OK`; statistics need `debug`.",
        "A port that is in use: a traceback.",
        "A page that returns nothing fails.",
        "A missing query parameter is a 500.",
        "Routed requests lose their body.",
        "A table's page of a missing key shows the default.",
    ),
    "Sensors and others": (
        "One app belongs to one thread.",
        "Python 3.8 and later.",
    ),
}
