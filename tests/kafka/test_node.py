from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.kafka_fixture import require_kafka
from tools.kafka import KafkaCluster, KafkaNode, KafkaStartError, KafkaUnavailable, jars
from tools.kafka.probe import is_listening, known_brokers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def test_the_shared_node_answers_and_names_its_url(kafka: KafkaNode) -> None:
    assert kafka.url == f"kafka://127.0.0.1:{kafka.port}"
    assert known_brokers(kafka.port) == 1


def test_a_node_comes_back_on_its_port_and_data_after_sigkill() -> None:
    require_kafka()
    with KafkaNode() as node:
        port, folder = node.port, node.folder
        node.kill()
        assert not is_listening(port)
        node.restart()
        assert (node.port, node.folder) == (port, folder)
        assert known_brokers(port) == 1
    assert not is_listening(port)
    assert not folder.exists()


def test_a_node_that_does_not_start_says_why() -> None:
    require_kafka()
    node = KafkaNode(extra_properties={"num.io.threads": "none"})
    with pytest.raises(KafkaStartError, match=r"num\.io\.threads"):
        node.start()
    assert not node.running
    node.close()


_PARENT = """
from tools.kafka import KafkaNode
import time
node = KafkaNode()
node.start()
print(node.pid, node.port, node.folder, flush=True)
time.sleep(120)
"""


def test_a_node_dies_with_the_process_that_started_it() -> None:
    require_kafka()
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", _PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as parent:
        assert parent.stdout is not None
        pid, port, folder = parent.stdout.readline().split()
        parent.kill()
    deadline = time.monotonic() + 60
    while (is_listening(int(port)) or Path(folder).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_listening(int(port)), f"node {pid} outlived its parent"
    assert not Path(folder).exists()


@pytest.mark.slow
def test_a_cluster_goes_on_with_two_of_three_nodes() -> None:
    require_kafka()
    with KafkaCluster() as cluster:
        first, second, third = cluster.nodes
        first.kill()
        second.suspend()
        second.resume()
        assert known_brokers(third.port) >= 2
        first.restart()
        third.wait_until_answering(brokers=3)
        assert cluster.url.count(";") == 2
        # The nodes agree about who coordinates, whom the tests kill.
        coordinator = cluster.coordinator("some group")
        assert coordinator in cluster.nodes
        assert cluster.transaction_coordinator("some id") in cluster.nodes
        coordinator.kill()
        assert cluster.coordinator("some group") not in (None, coordinator)
        for topic, number in (("__consumer_offsets", 0), ("__consumer_offsets", 3)):
            assert cluster.leader(topic, number).running


def test_a_folder_without_jars_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAUST_KAFKA_LIBS", str(tmp_path))
    with pytest.raises(KafkaUnavailable, match=r"has no kafka_2\.13 jar"):
        jars.kafka_libs()


def test_without_java_the_reason_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KafkaUnavailable, match="Java 17 or later is not installed"):
        jars.java()


def test_stopping_a_suspended_node_ends_it() -> None:
    require_kafka()
    with KafkaNode() as node:
        node.suspend()
        pid = node.pid
        node.kill()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIG_DFL)
