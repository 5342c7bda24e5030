"""A real Apache Kafka from its Maven jars: one node or three, for tests and benchmarks."""

from tools.kafka.cluster import KafkaCluster
from tools.kafka.errors import KafkaStartError, KafkaUnavailable
from tools.kafka.jars import fetch_jars, kafka_libs, unavailable_reason
from tools.kafka.node import KafkaNode

__all__ = [
    "KafkaCluster",
    "KafkaNode",
    "KafkaStartError",
    "KafkaUnavailable",
    "fetch_jars",
    "kafka_libs",
    "unavailable_reason",
]
