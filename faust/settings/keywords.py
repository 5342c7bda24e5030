"""The keyword arguments of `faust.App`, for type checkers.

Made by ``python -m tools.settings`` from the definitions; do not edit.  Types are
narrower than what is read: a number may come as text from the environment, but is one in code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from logging import Handler
    from pathlib import Path
    from ssl import SSLContext

    from yarl import URL

    from faust._values import ProcessingGuarantee
    from faust._values.modelproto import CodecProto
    from faust._values.policies import DecodePolicy, Policy
    from faust.auth import Credentials

__all__ = ["SettingsKeywords"]


class SettingsKeywords(TypedDict, total=False):
    """All settings but the id."""

    # Common
    version: int | None
    id_format: str | None
    autodiscover: bool | Iterable[str] | Callable[[], Iterable[str]] | None
    origin: str | None
    datadir: str | Path | None
    tabledir: str | Path | None
    store: str | URL | None
    store_url: str | URL | None
    processing_guarantee: ProcessingGuarantee | Literal["at_least_once", "exactly_once"] | None
    timezone: str | tzinfo | None
    debug: bool | None
    env_prefix: str | None
    # Serialization
    key_serializer: str | CodecProto | None
    value_serializer: str | CodecProto | None
    # Topics
    topic_partitions: int | None
    topic_replication_factor: int | None
    topic_allow_declare: bool | None
    topic_disable_leader: bool | None
    # Broker
    broker: str | URL | Iterable[str | URL] | None
    broker_url: str | URL | Iterable[str | URL] | None
    broker_credentials: Credentials | SSLContext | None
    ssl_context: SSLContext | None
    broker_client_id: str | None
    broker_check_crcs: bool | None
    broker_commit_interval: float | timedelta | str | None
    broker_commit_every: int | None
    broker_commit_livelock_soft_timeout: float | timedelta | str | None
    broker_session_timeout: float | timedelta | str | None
    broker_heartbeat_interval: float | timedelta | str | None
    broker_rebalance_timeout: float | timedelta | str | None
    broker_rebalance_grace: float | timedelta | str | None
    broker_request_timeout: float | timedelta | str | None
    broker_unavailable_timeout: float | timedelta | str | None
    # Consumer
    consumer_auto_offset_reset: Literal["earliest", "latest"] | None
    consumer_max_fetch_size: int | None
    consumer_group_instance_id: str | None
    consumer_metadata_max_age_ms: int | None
    consumer_connections_max_idle_ms: int | None
    # Producer
    producer_acks: int | Literal["all"] | None
    producer_compression_type: Literal["gzip", "snappy", "lz4", "zstd"] | None
    producer_linger: float | timedelta | str | None
    producer_max_batch_size: int | None
    producer_max_request_size: int | None
    producer_partitioner: str | Callable[..., Any] | None
    producer_request_timeout: float | timedelta | str | None
    producer_metadata_max_age_ms: int | None
    producer_connections_max_idle_ms: int | None
    # Streams
    stream_buffer_maxsize: int | None
    # Tables
    table_cleanup_interval: float | timedelta | str | None
    table_standby_replicas: int | None
    # Agents
    agent_error_policy: Policy | None
    agent_error_retries: int | None
    agent_error_backoff: float | timedelta | str | None
    agent_error_backoff_max: float | timedelta | str | None
    decode_error_policy: DecodePolicy | None
    # Agent RPC
    reply_to: str | None
    reply_to_prefix: str | None
    reply_create_topic: bool | None
    reply_expires: float | timedelta | str | None
    reply_timeout: float | timedelta | str | None
    # Web
    web_enabled: bool | None
    web_port: int | None
    web_bind: str | None
    web_host: str | None
    canonical_url: str | URL | None
    web_transport: str | URL | None
    web: str | URL | None
    web_ssl_context: SSLContext | None
    web_application_options: Mapping[str, Any] | str | None
    web_cors_options: Mapping[str, Any] | str | None
    web_stats_enabled: bool | None
    web_tables_enabled: bool | None
    web_router_enabled: bool | None
    web_metrics_enabled: bool | None
    # Worker
    loghandlers: Iterable[Handler] | None
    logging_config: Mapping[str, Any] | str | None
    worker_redirect_stdouts: bool | None
    worker_redirect_stdouts_level: int | str | None
    blocking_timeout: float | timedelta | str | None
    # Subclassing
    Agent: str | Callable[..., Any] | None
    Event: str | Callable[..., Any] | None
    Schema: str | Callable[..., Any] | None
    Stream: str | Callable[..., Any] | None
    Table: str | Callable[..., Any] | None
    Set: str | Callable[..., Any] | None
    SetTable: str | Callable[..., Any] | None
    GlobalTable: str | Callable[..., Any] | None
    SetGlobalTable: str | Callable[..., Any] | None
    TableManager: str | Callable[..., Any] | None
    Serializers: str | Callable[..., Any] | None
    Worker: str | Callable[..., Any] | None
    PartitionAssignor: str | Callable[..., Any] | None
    LeaderAssignor: str | Callable[..., Any] | None
    Router: str | Callable[..., Any] | None
    TopicConductor: str | Callable[..., Any] | None
    Topic: str | Callable[..., Any] | None
    HttpClient: str | Callable[..., Any] | None
    Monitor: str | Callable[..., Any] | None
