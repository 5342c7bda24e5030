"""Transactional ids: the same for a worker that starts again, never the same for two that live.

A worker takes the first free *slot* of its data directory, by a lock that dies with its process,
and the slot's name, which was drawn once and is kept beside the lock.  So a worker that starts
again ends at once what its predecessor has left open, and workers with other data directories, on
other machines, have other names.  A static member (``consumer_group_instance_id``) has its name
already.
"""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from faust.exceptions import ImproperlyConfigured
from faust.stores.base import StoreLocked
from faust.stores.locks import FileLock

__all__ = ["Slot", "take_slot"]

#: Workers that can share one data directory.
MOST_SLOTS = 1_000


class Slot:
    """A transactional id that is ours.

    Attributes:
        name: The id.
    """

    def __init__(self, name: str, lock: FileLock | None = None) -> None:
        self.name = name
        self._lock = lock

    def release(self) -> None:
        """Let another worker have it."""
        if self._lock is not None:
            self._lock.release()

    def __repr__(self) -> str:
        return f"<Slot {self.name}>"


def take_slot(directory: Path, group_id: str, instance_id: str | None) -> Slot:
    """Return a transactional id for a worker of this group.

    Arguments:
        directory: The data directory; it is made if it is not there.

    Raises:
        ImproperlyConfigured: the directory cannot be written.
    """
    if instance_id:
        return Slot(f"{group_id}-{instance_id}")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for number in range(MOST_SLOTS):
            try:
                lock = FileLock(directory / f"transactions-{number}.lock")
            except StoreLocked:
                continue
            try:
                return Slot(f"{group_id}-{number}-{_drawn(directory, number)}", lock)
            except BaseException:
                lock.release()
                raise
    except OSError as exc:
        raise ImproperlyConfigured(
            f"processing_guarantee='exactly_once' keeps the worker's transactional id in the data "
            f"directory, and {str(directory)!r} cannot be written ({exc.strerror or exc}): choose "
            f"another with --datadir, or set consumer_group_instance_id"
        ) from exc
    raise ImproperlyConfigured(
        f"{MOST_SLOTS} workers share the data directory {str(directory)!r}: give some another one"
    )


def _drawn(directory: Path, number: int) -> str:
    """Return what makes a slot's name unique among all machines; only its holder may ask."""
    path = directory / f"transactions-{number}"
    try:
        found = path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        found = ""
    if len(found) == 12 and found.isalnum():
        return found
    drawn = uuid4().hex[:12]
    fresh = path.with_suffix(".new")
    fresh.write_text(f"{drawn}\n", encoding="ascii")
    fresh.replace(path)
    return drawn
