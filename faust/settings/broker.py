"""Settings of the connection to the broker, and of membership and commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust._values import ProcessingGuarantee
from faust.settings.kinds import Bool, Duration, Int, Text, TLSContext
from faust.settings.lazy_kinds import BrokerURLs, CredentialsKind
from faust.settings.params import Section, alias, computed, setting

if TYPE_CHECKING:
    from faust.auth import Credentials

__all__ = ["DEFAULT_BROKER_URL", "BrokerSettings"]

DEFAULT_BROKER_URL = "kafka://localhost:9092"


def _client_id(conf: Any) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"faust-{version('faust')}"
    except PackageNotFoundError:  # a source tree that was never installed
        return "faust-2"


def _credentials(conf: Any) -> Credentials | None:
    from faust.auth import to_credentials

    return to_credentials(conf.ssl_context)


def _commit_interval(conf: Any) -> float:
    exactly_once = conf.processing_guarantee is ProcessingGuarantee.EXACTLY_ONCE
    return 0.1 if exactly_once else 3.0


class BrokerSettings(Section, title="Broker"):
    """The log with groups that messages come from and go to."""

    broker = setting(
        BrokerURLs(),
        default=DEFAULT_BROKER_URL,
        env="BROKER_URL",
        renamed_from=("url",),
        text="""Where the broker is. ``kafka://host:port;host:port`` (``aiokafka://`` is the same)
        is Apache Kafka, ``sqlite:///path`` a file that processes of one machine share, ``memory://``
        lives in this process. Several hosts are separated by ``;`` or ``,`` or given as a list, the
        scheme with each of them or once. The scheme may be the path of a class.""",
    )
    broker_url = alias(broker)
    broker_credentials = setting(
        CredentialsKind(),
        default=computed(_credentials, "ssl_context, if that is given"),
        since="1.5",
        text="""How to authenticate: credentials of ``faust.auth``, or an ``ssl.SSLContext`` for TLS
        alone.""",
    )
    ssl_context = setting(
        TLSContext(),
        default=None,
        text="TLS context for the broker, where no credentials are given.",
    )
    broker_client_id = setting(
        Text(),
        default=computed(_client_id, "faust-{VERSION}"),
        env="BROKER_CLIENT_ID",
        renamed_from=("client_id",),
        text="What the broker's logs call this client. It is seldom set.",
    )
    broker_check_crcs = setting(
        Bool(),
        default=True,
        env="BROKER_CHECK_CRCS",
        text="Whether the checksum of every batch that is read is verified.",
    )
    broker_commit_interval = setting(
        Duration(above_zero=True),
        default=computed(_commit_interval, "3.0 (0.1 with processing_guarantee='exactly_once')"),
        env="BROKER_COMMIT_INTERVAL",
        renamed_from=("commit_interval",),
        text="""Seconds between commits of what has been processed. Under ``exactly_once`` readers
        see messages only when they are committed, so that the default is smaller.""",
    )
    broker_commit_every = setting(
        Int(0),
        default=None,
        env="BROKER_COMMIT_EVERY",
        text="""Also commit when this many events have been finished since the last commit, without
        waiting for the interval; it is looked 20 times a second. There is no such limit by default
        (there was one of 10,000), nor with 0: a commit waits for the changelogs of tables, and at
        high rates it would run all the time.""",
    )
    broker_commit_livelock_soft_timeout = setting(
        Duration(above_zero=True),
        default=300.0,
        env="BROKER_COMMIT_LIVELOCK_SOFT_TIMEOUT",
        text="""Seconds without progress, while something is being processed or waits to be, after
        which a warning names agent, partition, offset and the line that waits (again after twice as
        long, and so on), and ``/ready`` fails. An agent that is slow but goes on is no alarm.""",
    )
    broker_session_timeout = setting(
        Duration(above_zero=True),
        default=60.0,
        env="BROKER_SESSION_TIMEOUT",
        since="1.0.11",
        text="""Seconds without a heartbeat after which the broker takes a worker for dead and gives
        its partitions to others.""",
    )
    broker_heartbeat_interval = setting(
        Duration(above_zero=True),
        default=3.0,
        env="BROKER_HEARTBEAT_INTERVAL",
        since="1.0.11",
        text="Seconds between heartbeats; below ``broker_session_timeout``, best a third or less.",
    )
    broker_rebalance_timeout = setting(
        Duration(above_zero=True),
        default=60.0,
        env="BROKER_REBALANCE_TIMEOUT",
        since="1.10",
        text="""Seconds that the broker waits for all workers to take part in a new round, before it
        goes on without those that did not.""",
    )
    broker_rebalance_grace = setting(
        Duration(),
        default=10.0,
        env="BROKER_REBALANCE_GRACE",
        since="2.0",
        text="""Seconds that events in progress have to finish when their partition moves to another
        worker; after that they are cancelled, their writes undone, and the new owner processes
        them again.""",
    )
    broker_request_timeout = setting(
        Duration(above_zero=True),
        default=90.0,
        env="BROKER_REQUEST_TIMEOUT",
        since="1.4",
        text="Seconds that the broker has to answer a request before it is sent again.",
    )
    broker_unavailable_timeout = setting(
        Duration(above_zero=True),
        default=None,
        env="BROKER_UNAVAILABLE_TIMEOUT",
        since="2.0",
        text="""Seconds without any broker, at the start or later, after which the app stops with an
        error; a worker's status is 1. By default it waits for ever, says so now and then, and
        ``/health`` says so too.""",
    )
