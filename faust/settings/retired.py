"""Settings of other versions of Faust that are none here, and what to do about each."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["RETIRED", "Retired"]


class Retired(NamedTuple):
    """A setting that there was.

    Attributes:
        harmless: Whether the app means the same without it: then it is ignored, with a warning;
            so is one that is switched off.
        why: Continues the sentence "setting x has no effect: …", or "is not supported: …".
    """

    harmless: bool
    why: str


_IO_THREAD = "all sockets of the broker live in a thread of their own"
_AEROSPIKE = "tables are kept in memory:// or rocksdb://"
_NEGOTIATED = "the version of the protocol is agreed with the broker"

RETIRED = {
    "aerospike_retries_on_exception": Retired(False, _AEROSPIKE),
    "aerospike_sleep_seconds_between_retries_on_exception": Retired(False, _AEROSPIKE),
    "crash_app_on_aerospike_exception": Retired(False, _AEROSPIKE),
    "store_check_exists": Retired(True, _AEROSPIKE),
    "agent_supervisor": Retired(
        True, "agent_error_policy says what happens when an agent raises an exception"
    ),
    "broker_api_version": Retired(True, _NEGOTIATED),
    "consumer_api_version": Retired(True, _NEGOTIATED),
    "producer_api_version": Retired(True, _NEGOTIATED),
    "broker_consumer": Retired(False, "one broker is read and written, the setting broker"),
    "broker_producer": Retired(False, "one broker is read and written, the setting broker"),
    "broker_max_poll_interval": Retired(
        True,
        "heartbeats go on while an agent is busy; broker_commit_livelock_soft_timeout names an "
        "agent that makes no progress",
    ),
    "broker_max_poll_records": Retired(
        True, "whole batches are fetched; stream_buffer_maxsize limits what a stream holds"
    ),
    "cache": Retired(True, "answers of web views are not cached"),
    "ConsumerScheduler": Retired(True, "partitions are read in turn"),
    "cython_optimizations": Retired(True, "there is one implementation"),
    "producer_threaded": Retired(True, _IO_THREAD),
    "recovery_consistency_check": Retired(True, "positions are always checked"),
    "stream_ack_cancelled_tasks": Retired(True, "a cancelled event is never acknowledged"),
    "stream_ack_exceptions": Retired(
        True, "agent_error_policy says what happens when an agent raises an exception"
    ),
    "stream_processing_timeout": Retired(
        True, "broker_commit_livelock_soft_timeout names an agent that makes no progress"
    ),
    "stream_publish_on_commit": Retired(
        False, "what an agent sends is sent at once, and delivered before its event is committed"
    ),
    "stream_recovery_delay": Retired(True, "restoring needs no pause before it"),
    "stream_wait_empty": Retired(True, "what is in progress is finished before partitions move"),
    "table_key_index_size": Retired(True, "tables keep no such index"),
    "web_graph_enabled": Retired(True, "there is no page with a graph of services"),
    "web_in_thread": Retired(True, "health and readiness are always answered from a thread"),
}
