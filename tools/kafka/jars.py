"""Jars from Maven, once per machine, into a cache that several processes may share.

A set of jars lives in a folder named after the hash of its ``pom.xml``, so that another version
is another folder.  Maven copies into a temporary folder beside it, which is renamed when complete:
a folder that exists is whole.  A lock file keeps two processes from fetching the same set twice.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.kafka.errors import KafkaUnavailable

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
POM = Path(__file__).with_name("pom.xml")

#: The oldest Java that Kafka 4 brokers run on.
OLDEST_JAVA = 17

#: A first fetch of about 90 jars took 8 s; slow mirrors deserve patience, not eternity.
FETCH_TIMEOUT_SECONDS = 600.0


def kafka_libs() -> Path:
    """Return the folder with Kafka's jars, fetching them first where needed.

    ``FAUST_KAFKA_LIBS`` names a folder that already has them.

    Raises:
        KafkaUnavailable: that folder has no jars, or Maven is missing or failed.
    """
    given = os.environ.get("FAUST_KAFKA_LIBS")
    if not given:
        return fetch_jars(POM, CACHE / "kafka")
    if not any(Path(given).glob("kafka_2.13-*.jar")):
        raise KafkaUnavailable(f"FAUST_KAFKA_LIBS={given} has no kafka_2.13 jar")
    return Path(given)


def fetch_jars(pom: Path, cache: Path) -> Path:
    """Return a folder with all runtime jars of ``pom``, below ``cache``; blocks while it fetches.

    Raises:
        KafkaUnavailable: Maven is missing, or could not resolve the jars; nothing is left behind.
    """
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    target = cache / f"libs-{digest}"
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / f"libs-{digest}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _fetch_into(pom, target)
    return target


def _fetch_into(pom: Path, target: Path) -> None:
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        _run_maven(pom, partial)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _run_maven(pom: Path, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("Maven (mvn) is not installed, and Kafka's jars are not cached")
    command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
    command += [f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"Maven did not fetch {pom} within {FETCH_TIMEOUT_SECONDS:.0f} s"
        raise KafkaUnavailable(message) from None
    if done.returncode != 0:
        raise KafkaUnavailable(f"Maven could not fetch {pom}: {_first_error(done.stdout)}")


def _first_error(output: str) -> str:
    errors = [line for line in output.splitlines() if line.startswith("[ERROR]")]
    return (errors or output.splitlines() or ["no output"])[0]


def java() -> str:
    """Return the path of a Java that can run Kafka.

    Raises:
        KafkaUnavailable: there is none on the path, or it is older than 17.
    """
    found = shutil.which("java")
    if found is None:
        raise KafkaUnavailable(f"Java {OLDEST_JAVA} or later is not installed")
    version = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', version.stderr)
    if match is None or int(match[1]) < OLDEST_JAVA:
        raise KafkaUnavailable(f"{found} is not Java {OLDEST_JAVA} or later")
    return found


@functools.cache
def unavailable_reason() -> str | None:
    """Return in one line why Kafka cannot run here, or ``None`` if it can; fetches the jars."""
    try:
        java()
        kafka_libs()
    except KafkaUnavailable as exc:
        return str(exc)
    return None
