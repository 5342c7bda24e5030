"""Keys go where Kafka's Java client sends them (vectors: ``tools/record_kafka_answers.py``)."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

from faust._core.partitioner import murmur2, partition_for

VECTORS = json.loads(Path(__file__).with_name("partitioner_vectors.json").read_text())


def test_hashes_are_those_of_the_java_client() -> None:
    for key, hashed, _, _ in VECTORS:
        assert murmur2(b64decode(key)) == hashed & 0xFFFFFFFF


def test_partitions_are_those_of_the_java_client() -> None:
    for key, _, of_seven, of_a_thousand in VECTORS:
        assert partition_for(b64decode(key), 7) == of_seven
        assert partition_for(b64decode(key), 1000) == of_a_thousand


def test_every_length_of_tail_is_among_the_vectors() -> None:
    assert {len(b64decode(key)) % 4 for key, *_ in VECTORS} == {0, 1, 2, 3}
