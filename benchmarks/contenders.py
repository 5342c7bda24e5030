"""Who is measured: each contender is a command line and the group whose offsets tell how far it is.

A contender reads ``Run.topic`` from its start, does ``Run.work``, commits as ``Run.group`` every
``Run.commit_ms``, and runs until SIGTERM.  That is the whole interface: whatever can be started so
is measured by the same method.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import kafka_streams
from tools.kafka.jars import ROOT
from tools.kafka.probe import free_ports


@dataclass(frozen=True)
class Run:
    """One run of one contender."""

    bootstrap: str
    group: str
    topic: str
    #: The topic to forward to, or (where the contender does not name its own) the changelog.
    out: str
    work: str
    partitions: int
    commit_ms: int
    #: For local state and temporary files; removed after the run.
    directory: Path


@dataclass(frozen=True)
class Contender:
    """A program that can be measured."""

    name: str
    works: frozenset[str]
    command: Callable[[Run], list[str]]
    environment: Callable[[Run], Mapping[str, str]] = field(default=lambda run: {})
    #: The changelog of a run that counts, for contenders that can be made to restore.
    changelog: Callable[[Run], str] | None = None
    #: Too slow for a warm-up of a million records.
    slow: bool = False


ALL_WORKS = frozenset({"decode", "count", "count-rocksdb", "forward"})


def _faust_command(run: Run) -> list[str]:
    module = f"benchmarks.apps.{run.work.removesuffix('-rocksdb')}"
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "faust", "-A", module, "--datadir", str(run.directory)]
    return [*command, "worker", "-l", "warn", "--web-port", str(port), "--web-bind", "127.0.0.1"]


def _faust_environment(run: Run) -> Mapping[str, str]:
    hosts = run.bootstrap.replace(",", ";")
    return {
        "BENCHMARK_GROUP": run.group,
        "BENCHMARK_BROKER": f"kafka://{hosts}",
        "BENCHMARK_STORE": "rocksdb://" if run.work.endswith("-rocksdb") else "memory://",
        "BENCHMARK_COMMIT_SECONDS": str(run.commit_ms / 1000),
        "BENCHMARK_PARTITIONS": str(run.partitions),
        "BENCHMARK_TOPIC": run.topic,
        "BENCHMARK_OUT": run.out,
        "PYTHONPATH": str(ROOT),
    }


def _streams_command(run: Run) -> list[str]:
    return kafka_streams.command(
        run.bootstrap,
        app_id=run.group,
        topic=run.topic,
        out=run.out,
        work=run.work,
        commit_ms=run.commit_ms,
        warm_up=0,
        seconds=0,
        directory=run.directory,
    )


def _hand_command(run: Run) -> list[str]:
    arguments = [run.bootstrap, run.group, run.topic, run.out, run.work, str(run.commit_ms)]
    return [sys.executable, "-m", "benchmarks.hand_loop", *arguments]


FAUST = Contender(
    "faust",
    ALL_WORKS,
    _faust_command,
    _faust_environment,
    changelog=lambda run: f"{run.group}-counts-changelog",
)
KAFKA_STREAMS = Contender(
    "kafka-streams",
    ALL_WORKS,
    _streams_command,
    changelog=lambda run: f"{run.group}-counts-changelog",
)
HAND_LOOP = Contender(
    "hand-loop",
    frozenset({"decode", "count", "forward"}),
    _hand_command,
    lambda run: {"PYTHONPATH": str(ROOT)},
)
YARDSTICKS = (KAFKA_STREAMS, HAND_LOOP)
