"""The settings of faust and faust-streaming, as data: what existing applications rely on."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from socket import gethostname
from typing import Any, NamedTuple

from yarl import URL

from faust._values import ProcessingGuarantee

__all__ = ["GENERATED", "KNOWN", "Known"]


class Generated:
    """Stands for a default that is different each time, or made of another setting."""


GENERATED = Generated()


class Known(NamedTuple):
    """One setting as it was.

    Attributes:
        takes: Its type, in words.
        default: What is read where nobody gives it.
        env: Its variable of the environment.
        old_name: A name that it had before.
        since: The version that brought it; "" for the first.
    """

    name: str
    takes: str
    default: Any
    env: str
    old_name: str
    since: str


KNOWN = [
    Known("autodiscover", "bool / list[str] / callable", False, "", "", ""),
    Known("datadir", "str / Path", Path("x-data"), "APP_DATADIR", "", ""),
    Known("tabledir", "str / Path", Path("x-data/v1/tables"), "APP_TABLEDIR", "", ""),
    Known("debug", "bool", False, "APP_DEBUG", "", ""),
    Known("env_prefix", "str", None, "APP_ENV_PREFIX", "", "1.11"),
    Known("id_format", "str", "{id}-v{self.version}", "APP_ID_FORMAT", "", ""),
    Known("origin", "str", None, "", "", ""),
    Known("timezone", "str / tzinfo", UTC, "TIMEZONE", "", "1.4"),
    Known("version", "int", 1, "APP_VERSION", "", ""),
    Known("cython_optimizations", "bool", False, "CYTHON_OPTIMIZATIONS", "", "0.14.0"),
    Known("blocking_timeout", "float / timedelta", None, "BLOCKING_TIMEOUT", "", ""),
    Known("broker", "str / URL / list", [URL("kafka://localhost:9092")], "BROKER_URL", "url", ""),
    Known("broker_credentials", "Credentials / SSLContext", None, "BROKER_CREDENTIALS", "", "1.5"),
    Known("ssl_context", "ssl.SSLContext", None, "", "", ""),
    Known("logging_config", "mapping / JSON text", None, "", "", "1.5"),
    Known("loghandlers", "list[Handler]", [], "", "", ""),
    Known(
        "processing_guarantee",
        "str / enum",
        ProcessingGuarantee.AT_LEAST_ONCE,
        "PROCESSING_GUARANTEE",
        "",
        "1.5",
    ),
    Known("store", "str / URL", URL("memory://"), "APP_STORE", "", ""),
    Known("cache", "str / URL", "memory://", "CACHE_URL", "", "1.2"),
    Known("url", "str / URL", None, "", "", ""),
    Known("key_serializer", "str / Codec", "raw", "APP_KEY_SERIALIZER", "", ""),
    Known("value_serializer", "str / Codec", "json", "APP_VALUE_SERIALIZER", "", ""),
    Known("topic_allow_declare", "bool", True, "TOPIC_ALLOW_DECLARE", "", "1.5"),
    Known("topic_disable_leader", "bool", False, "TOPIC_DISABLE_LEADER", "", "1.7"),
    Known("topic_partitions", "int", 8, "TOPIC_PARTITIONS", "default_partitions", ""),
    Known(
        "topic_replication_factor", "int", 1, "TOPIC_REPLICATION_FACTOR", "replication_factor", ""
    ),
    Known(
        "agent_supervisor",
        "class / dotted path",
        "mode.OneForOneSupervisor",
        "AGENT_SUPERVISOR",
        "",
        "",
    ),
    Known("reply_create_topic", "bool", False, "APP_REPLY_CREATE_TOPIC", "create_reply_topic", ""),
    Known("reply_expires", "float / timedelta", 86400.0, "APP_REPLY_EXPIRES", "", ""),
    Known("reply_to", "str", GENERATED, "", "", ""),
    Known("reply_to_prefix", "str", "f-reply-", "APP_REPLY_TO_PREFIX", "", ""),
    Known("broker_consumer", "str / URL / list", GENERATED, "BROKER_CONSUMER_URL", "", "1.7"),
    Known("broker_producer", "str / URL / list", GENERATED, "BROKER_PRODUCER_URL", "", "1.7"),
    Known("broker_api_version", "str", "auto", "BROKER_API_VERSION", "", "1.10"),
    Known("broker_check_crcs", "bool", True, "BROKER_CHECK_CRCS", "", ""),
    Known("broker_client_id", "str", GENERATED, "BROKER_CLIENT_ID", "client_id", ""),
    Known("broker_commit_every", "int", 10000, "BROKER_COMMIT_EVERY", "", ""),
    Known(
        "broker_commit_interval",
        "float / timedelta",
        2.8,
        "BROKER_COMMIT_INTERVAL",
        "commit_interval",
        "",
    ),
    Known(
        "broker_commit_livelock_soft_timeout",
        "float / timedelta",
        300.0,
        "BROKER_COMMIT_LIVELOCK_SOFT_TIMEOUT",
        "",
        "",
    ),
    Known(
        "broker_heartbeat_interval",
        "float / timedelta",
        3.0,
        "BROKER_HEARTBEAT_INTERVAL",
        "",
        "1.0.11",
    ),
    Known(
        "broker_max_poll_interval",
        "float / timedelta",
        1000.0,
        "BROKER_MAX_POLL_INTERVAL",
        "",
        "1.7",
    ),
    Known("broker_max_poll_records", "int", None, "BROKER_MAX_POLL_RECORDS", "", "1.4"),
    Known(
        "broker_rebalance_timeout",
        "float / timedelta",
        60.0,
        "BROKER_REBALANCE_TIMEOUT",
        "",
        "1.10",
    ),
    Known("broker_request_timeout", "float / timedelta", 90.0, "BROKER_REQUEST_TIMEOUT", "", "1.4"),
    Known(
        "broker_session_timeout", "float / timedelta", 60.0, "BROKER_SESSION_TIMEOUT", "", "1.0.11"
    ),
    Known("consumer_api_version", "str", GENERATED, "CONSUMER_API_VERSION", "", "1.10"),
    Known("consumer_max_fetch_size", "int", 1048576, "CONSUMER_MAX_FETCH_SIZE", "", "1.4"),
    Known("consumer_auto_offset_reset", "str", "earliest", "CONSUMER_AUTO_OFFSET_RESET", "", "1.5"),
    Known("consumer_group_instance_id", "str", None, "CONSUMER_GROUP_INSTANCE_ID", "", "2.1"),
    Known(
        "consumer_metadata_max_age_ms", "int", 300000, "CONSUMER_METADATA_MAX_AGE_MS", "", "0.8.5"
    ),
    Known(
        "consumer_connections_max_idle_ms",
        "int",
        540000,
        "CONSUMER_CONNECTIONS_MAX_IDLE_MS",
        "",
        "0.8.5",
    ),
    Known(
        "ConsumerScheduler",
        "class / dotted path",
        "faust.transport.utils:DefaultSchedulingStrategy",
        "",
        "",
        "1.5",
    ),
    Known("producer_acks", "int", -1, "PRODUCER_ACKS", "", ""),
    Known("producer_api_version", "str", GENERATED, "PRODUCER_API_VERSION", "", "1.5.3"),
    Known("producer_compression_type", "str", None, "PRODUCER_COMPRESSION_TYPE", "", ""),
    Known("producer_linger", "float / timedelta", 0.0, "PRODUCER_LINGER", "producer_linger_ms", ""),
    Known("producer_max_batch_size", "int", 16384, "PRODUCER_MAX_BATCH_SIZE", "", ""),
    Known("producer_max_request_size", "int", 1000000, "PRODUCER_MAX_REQUEST_SIZE", "", ""),
    Known("producer_partitioner", "class / dotted path", None, "", "", "1.2"),
    Known(
        "producer_request_timeout",
        "float / timedelta",
        1200.0,
        "PRODUCER_REQUEST_TIMEOUT",
        "",
        "1.4",
    ),
    Known("producer_threaded", "bool", False, "PRODUCER_THREADED", "", "0.4.5"),
    Known(
        "producer_metadata_max_age_ms", "int", 300000, "PRODUCER_METADATA_MAX_AGE_MS", "", "0.8.5"
    ),
    Known(
        "producer_connections_max_idle_ms",
        "int",
        540000,
        "PRODUCER_CONNECTIONS_MAX_IDLE_MS",
        "",
        "0.8.5",
    ),
    Known("producer_linger_ms", "int", 0, "PRODUCER_LINGER_MS", "", ""),
    Known("recovery_consistency_check", "bool", True, "RECOVERY_CONSISTENCY_CHECK", "", "0.4.7"),
    Known("store_check_exists", "bool", True, "STORE_CHECK_EXISTS", "", "0.6.0"),
    Known(
        "crash_app_on_aerospike_exception",
        "bool",
        True,
        "CRASH_APP_ON_AEROSPIKE_EXCEPTION",
        "",
        "0.6.3",
    ),
    Known(
        "aerospike_retries_on_exception", "int", 60, "AEROSPIKE_RETRIES_ON_EXCEPTION", "", "0.6.10"
    ),
    Known(
        "aerospike_sleep_seconds_between_retries_on_exception",
        "int",
        1,
        "AEROSPIKE_SLEEP_SECONDS_BETWEEN_RETRIES_ON_EXCEPTION",
        "",
        "0.6.10",
    ),
    Known("stream_buffer_maxsize", "int", 4096, "STREAM_BUFFER_MAXSIZE", "", ""),
    Known(
        "stream_processing_timeout",
        "float / timedelta",
        300.0,
        "STREAM_PROCESSING_TIMEOUT",
        "",
        "1.10",
    ),
    Known("stream_publish_on_commit", "bool", False, "", "", ""),
    Known("stream_recovery_delay", "float / timedelta", 0.0, "STREAM_RECOVERY_DELAY", "", "1.3"),
    Known("stream_wait_empty", "bool", True, "STREAM_WAIT_EMPTY", "", ""),
    Known("stream_ack_cancelled_tasks", "bool", True, "", "", ""),
    Known("stream_ack_exceptions", "bool", True, "", "", ""),
    Known("table_cleanup_interval", "float / timedelta", 30.0, "TABLE_CLEANUP_INTERVAL", "", ""),
    Known("table_key_index_size", "int", 1000, "TABLE_KEY_INDEX_SIZE", "", "1.7"),
    Known("table_standby_replicas", "int", 1, "TABLE_STANDBY_REPLICAS", "num_standby_replicas", ""),
    Known("web", "str / URL", URL("aiohttp://"), "", "", "1.2"),
    Known("web_bind", "str", "0.0.0.0", "WEB_BIND", "", "1.2"),
    Known("web_application_options", "mapping / JSON text", None, "", "", "0.11.4"),
    Known("web_cors_options", "mapping / JSON text", None, "", "", "1.5"),
    Known("web_enabled", "bool", True, "APP_WEB_ENABLED", "", "1.2"),
    Known("web_stats_enabled", "bool", False, "APP_WEB_STATS_ENABLED", "", "0.15.0"),
    Known("web_graph_enabled", "bool", False, "APP_WEB_GRAPH_ENABLED", "", "0.15.0"),
    Known("web_router_enabled", "bool", True, "APP_WEB_ROUTER_ENABLED", "", "0.15.0"),
    Known("web_tables_enabled", "bool", True, "APP_WEB_TABLES_ENABLED", "", "0.15.0"),
    Known("web_metrics_enabled", "bool", False, "APP_WEB_METRICS_ENABLED", "", "0.15.0"),
    Known("web_host", "str", gethostname(), "WEB_HOST", "", "1.2"),
    Known("web_in_thread", "bool", False, "", "", "1.5"),
    Known("web_port", "int", 6066, "WEB_PORT", "", "1.2"),
    Known("web_ssl_context", "ssl.SSLContext", None, "", "", "0.5.0"),
    Known("web_transport", "str / URL", URL("tcp://"), "FAUST_WEB_TRANSPORT", "", "1.2"),
    Known(
        "canonical_url",
        "str / URL",
        URL(f"http://{gethostname()}:6066"),
        "NODE_CANONICAL_URL",
        "",
        "",
    ),
    Known("worker_redirect_stdouts", "bool", True, "WORKER_REDIRECT_STDOUTS", "", ""),
    Known(
        "worker_redirect_stdouts_level", "str / int", 30, "WORKER_REDIRECT_STDOUTS_LEVEL", "", ""
    ),
    Known("Agent", "class / dotted path", "faust:Agent", "", "", ""),
    Known("Event", "class / dotted path", "faust:Event", "", "", ""),
    Known("Schema", "class / dotted path", "faust:Schema", "", "", ""),
    Known("Stream", "class / dotted path", "faust:Stream", "", "", ""),
    Known("Table", "class / dotted path", "faust:Table", "", "", ""),
    Known("SetTable", "class / dotted path", "faust:SetTable", "", "", ""),
    Known("GlobalTable", "class / dotted path", "faust:GlobalTable", "", "", ""),
    Known("SetGlobalTable", "class / dotted path", "faust:SetGlobalTable", "", "", ""),
    Known("TableManager", "class / dotted path", "faust.tables:TableManager", "", "", ""),
    Known("Serializers", "class / dotted path", "faust.serializers:Registry", "", "", ""),
    Known("Worker", "class / dotted path", "faust.worker:Worker", "", "", ""),
    Known(
        "PartitionAssignor", "class / dotted path", "faust.assignor:PartitionAssignor", "", "", ""
    ),
    Known("LeaderAssignor", "class / dotted path", "faust.assignor:LeaderAssignor", "", "", ""),
    Known("Router", "class / dotted path", "faust.app.router:Router", "", "", ""),
    Known("Topic", "class / dotted path", "faust:Topic", "", "", ""),
    Known("HttpClient", "class / dotted path", "aiohttp.client:ClientSession", "", "", ""),
    Known("Monitor", "class / dotted path", "faust.sensors:Monitor", "", "", ""),
]
