"""Kafka Streams as a yardstick: compiled with plain ``javac``, one stream thread."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tools.kafka.errors import KafkaUnavailable
from tools.kafka.jars import CACHE, fetch_jars

HERE = Path(__file__).parent

#: What one worker on two cores may have; the young generation is what record garbage needs.
JVM = ("-Xms1g", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")


def classpath() -> str:
    """Fetch the jars, compile the yardstick where its source is newer, return the class path."""
    libs = fetch_jars(HERE / "pom.xml", CACHE / "kafka-streams")
    source, classes = HERE / "Yardstick.java", CACHE / "kafka-streams" / "classes"
    compiled = classes / "Yardstick.class"
    if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
        _compile(source, classes, libs)
    return f"{classes}:{libs}/*"


def _compile(source: Path, classes: Path, libs: Path) -> None:
    command = ["javac", "-cp", f"{libs}/*", "-d", str(classes), str(source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise KafkaUnavailable("javac is not installed: a JDK is needed, not a JRE") from None
    if done.returncode != 0:
        raise KafkaUnavailable(f"{source.name} does not compile: {done.stderr}")


def command(
    bootstrap: str,
    *,
    app_id: str,
    topic: str,
    out: str,
    work: str,
    commit_ms: int,
    warm_up: int,
    seconds: float,
    directory: Path,
) -> list[str]:
    """Return the command line of one run.

    Arguments:
        work: decode, count, count-rocksdb or forward.
        seconds: length of the run after ``warm_up`` records; 0 runs until it is killed.
        directory: where it keeps local state and temporary files.
    """
    arguments = [bootstrap, app_id, topic, out, work, str(commit_ms), str(warm_up), str(seconds)]
    options = [*JVM, f"-Djava.io.tmpdir={directory}", "-cp", classpath()]
    return ["java", *options, "Yardstick", *arguments]
