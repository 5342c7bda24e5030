"""The parent of worker processes: ``worker --processes`` and ``worker --reload``.

Each worker is the same command once more, in a process group of its own: Ctrl-C reaches the parent
alone, which hands it on once.  A pipe tells workers that their parent is gone (also after
``kill -9``): then they stop in good order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from faust.cli.fleet import Fleet
from faust.cli.watching import SourceWatcher, syntax_error_in

__all__ = ["Place", "folders_of", "supervise"]

#: Tells a worker which place it has: "index,size,generation,descriptor of the pipe".
VARIABLE = "_FAUST_PLACE"
#: How often the parent looks after its workers (seconds).
INTERVAL = 0.1
#: Every how many looks it looks at the source.
LOOKS_FOR_SOURCE = 3

_HANDED_ON = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1")
    if hasattr(signal, name)
)


@dataclass(frozen=True)
class Place:
    """Which of the workers of one parent this process is.

    Attributes:
        index: From 0.
        size: How many there are.
        generation: How often this place was started before.
    """

    index: int
    size: int
    generation: int

    @classmethod
    def of_this_process(cls) -> Place | None:
        """Return our place, and watch the parent from now on; ``None`` where there is none."""
        told = os.environ.pop(VARIABLE, "")
        if not told:
            return None
        index, size, generation, descriptor = map(int, told.split(","))
        os.set_inheritable(descriptor, False)
        threading.Thread(
            target=_stop_without_parent, args=(descriptor,), name="faust-parent", daemon=True
        ).start()
        return cls(index, size, generation)


def _stop_without_parent(descriptor: int) -> None:
    os.read(descriptor, 1)  # nothing is ever written: it ends when the parent does
    os.write(2, b"faust: the parent process is gone: stopping\n")
    os.kill(os.getpid(), signal.SIGTERM)


def supervise(size: int, *, folders: list[Path] | None, tell: Callable[[str], None]) -> int:
    """Run workers until a signal comes; return the exit status.

    Arguments:
        size: How many.
        folders: Start them again when the source in these changes; ``None``: when they die.
    """
    watcher = None if folders is None else SourceWatcher(folders)
    spawner = _Spawner(size)
    fleet = Fleet(spawner.spawn, size, tell=tell, reloading=watcher is not None)
    source = None if watcher is None else _Source(watcher, fleet, tell)
    if watcher is not None:
        tell(f"Reloading on changes in {', '.join(map(str, watcher.folders))}")
    with _signals_to(fleet), spawner:
        for look in _looks(fleet):
            fleet.look(time.monotonic())
            if source is not None and look % LOOKS_FOR_SOURCE == 0:
                source.look()
    return fleet.status


def _looks(fleet: Fleet) -> Iterator[int]:
    count = 0
    while not fleet.over:
        yield count
        count += 1
        time.sleep(INTERVAL)


class _Source:
    """Restarts workers on changes, unless Python cannot read what changed."""

    def __init__(self, watcher: SourceWatcher, fleet: Fleet, tell: Callable[[str], None]) -> None:
        self._watcher = watcher
        self._fleet = fleet
        self._tell = tell
        self._broken: set[str] = set()

    def look(self) -> None:
        changed = self._watcher.look()
        if not changed:
            return
        errors = {path: syntax_error_in(path) for path in changed | self._broken}
        self._broken = {path for path, error in errors.items() if error}
        names = ", ".join(sorted(os.path.relpath(path) for path in changed))
        if self._broken:
            for path in sorted(self._broken):
                self._tell(f"Syntax error in {errors[path]}")
            self._tell("The worker goes on as it is: waiting for the next change")
            return
        self._tell(f"Changed: {names}; starting again")
        self._fleet.restart()


class _Spawner:
    """Starts this very command again, as a worker with a place."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._generations = [0] * size
        self._cwd = os.getcwd()
        self._ours, self._theirs = -1, -1

    def __enter__(self) -> _Spawner:
        self._theirs, self._ours = os.pipe()
        return self

    def __exit__(self, *details: object) -> None:
        os.close(self._theirs)
        os.close(self._ours)

    def spawn(self, index: int) -> subprocess.Popen[bytes]:
        generation = self._generations[index]
        self._generations[index] += 1
        place = f"{index},{self._size},{generation},{self._theirs}"
        return subprocess.Popen(
            [sys.executable, *sys.orig_argv[1:]],
            cwd=self._cwd,
            env={**os.environ, VARIABLE: place},
            stdin=subprocess.DEVNULL,
            pass_fds=(self._theirs,),
            process_group=0,
        )


@contextmanager
def _signals_to(fleet: Fleet) -> Iterator[None]:
    def hand_on(number: int, frame: Any) -> None:
        fleet.send(number)

    before = {number: signal.signal(number, hand_on) for number in _HANDED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def folders_of(app_path: str | None, workdir: str | None) -> list[Path]:
    """Return where an app's source is: the working directory, or its package if not there."""
    here = Path(workdir or ".").resolve()
    folders = [here]
    target = (app_path or "").partition(":")[0]
    if target.endswith(".py") or os.sep in target:
        folders.append((here / target).resolve().parent)
    elif target:
        folders += _folders_of_module(target.partition(".")[0])
    elif sys.argv[0].endswith(".py"):
        folders.append(Path(sys.argv[0]).resolve().parent)
    return [folder for folder in folders if not any(o in folder.parents for o in folders)]


def _folders_of_module(name: str) -> list[Path]:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return []
    places = list(getattr(spec, "submodule_search_locations", None) or [])
    return [Path(place).resolve() for place in places]
