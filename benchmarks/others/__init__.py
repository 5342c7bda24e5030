"""Other Python libraries as contenders, each in a virtual environment of its own, for scale.

The environments are made once, below the cache.  They are slow enough that their warm-up ends by
time.  A library that cannot be installed here is left out, with a line that says so.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contenders import Contender, Run
from tools.kafka.jars import CACHE

HERE = Path(__file__).parent
_LIBRARIES = {
    "faust-streaming": (("faust-streaming==0.15.3", "setuptools<81"), {"decode", "count"}),
    "quixstreams": (("quixstreams==3.28.0",), {"decode", "count-rocksdb"}),
    "bytewax": (("bytewax==0.21.1", "confluent-kafka==2.12.0"), {"decode", "count"}),
}


def others() -> Iterator[Contender]:
    """Yield those that can be installed here."""
    for name, (requirements, works) in _LIBRARIES.items():
        try:
            python = _environment(name, requirements)
        except subprocess.CalledProcessError as exc:
            print(f"left out: {name} ({exc.stderr.strip().splitlines()[-1]})", file=sys.stderr)
            continue
        yield _contender(name, python, frozenset(works))


def _contender(name: str, python: Path, works: frozenset[str]) -> Contender:
    script = HERE / f"{name.replace('-', '_')}_app.py"

    def command(run: Run) -> list[str]:
        arguments = [run.bootstrap, run.group, run.topic, run.out, run.work, str(run.commit_ms)]
        return [str(python), str(script), *arguments, str(run.directory)]

    return Contender(name, works, command)


def _environment(name: str, requirements: tuple[str, ...]) -> Path:
    digest = hashlib.sha256(" ".join(requirements).encode()).hexdigest()[:8]
    folder = CACHE / "benchmarks" / f"{name}-{digest}"
    python = folder / "bin" / "python"
    done = folder / "installed"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        command = [str(python), "-m", "pip", "install", "-q", *requirements]
        subprocess.run(command, check=True, capture_output=True, text=True)
        done.touch()
    return python
