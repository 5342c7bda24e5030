"""Wake-ups between processes: one named pipe each, and who is still alive.

Theory.  Each process that has the broker open keeps a named pipe in the directory beside the
file, both ends open.  Whoever has committed writes a byte into every other's pipe; whoever waits
has its own in the event loop.  Nothing polls, and what ``kill -9`` leaves behind is harmless: a
pipe that nobody reads refuses to be opened (``ENXIO``), at once and without a time-out.  The same
answer says for certain that a process is dead, which frees its place in its groups at once.

* A pipe is opened under another name, then renamed: a pipe in the directory is alive or dead, never
  "not yet".
* A child that was forked (not started anew) keeps its parent's pipe open: then only the session
  time-out tells that the parent is gone.
* A full pipe is not waited for: its owner has not looked for 65,536 commits, and will.
* A process that does not wait is not woken: its pipe is in the event loop only while somebody
  waits.
* A byte may be missing (its writer died between commit and ring): who waits looks every
  `Bell.interval` seconds in any case.  Where there can be no pipes at all, that is 5 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import uuid

__all__ = ["Bell"]

_SUFFIX = ".wake"
#: How often a waiting process looks although nobody rang.
_WITH_PIPE = 0.25
_WITHOUT_PIPE = 0.005


class Bell:
    """This process's pipe, and those of the others.

    Attributes:
        name: Ours, as others see it.
        interval: Seconds after which a waiting caller should look for itself.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}{_SUFFIX}"
        self.interval = _WITHOUT_PIPE
        self._ends: tuple[int, int] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._peers: dict[str, int] = {}
        self._listed_ns = -1

    # -- our own pipe: on the event loop ------------------------------------------------

    def open(self) -> None:
        """Make our pipe; without one (a file system that has none) waiting looks more often."""
        self._loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            self._ends = self._make_pipe()
            self.interval = _WITH_PIPE

    def close(self) -> None:
        """Take our pipe away; all who wait are woken."""
        self.notify()
        self._stop_listening()
        if self._ends is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._path(self.name))
            for end in self._ends:
                os.close(end)
            self._ends = None
        self._forget_peers()

    def ensure(self) -> None:
        """Make our pipe again if somebody has removed it."""
        if self._ends is not None and not os.path.exists(self._path(self.name)):
            old = self._ends
            self._stop_listening()
            with contextlib.suppress(OSError):
                self._ends = self._make_pipe()
                for end in old:
                    os.close(end)
            self._listen_if_waited_for()

    def drain(self) -> bool:
        """Forget rings that are over; return whether there were any."""
        if self._ends is None:
            return False
        try:
            return bool(os.read(self._ends[0], 65536))
        except BlockingIOError:
            return False

    def notify(self) -> None:
        """Wake everybody who waits in this process."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)
        self._stop_listening()

    def ticket(self) -> asyncio.Future[None]:
        """Return a future that is resolved by the next ring; give it to `wait`."""
        assert self._loop is not None, "the transport is not open"
        future = self._loop.create_future()
        self._waiting.add(future)
        self._listen_if_waited_for()
        return future

    def drop(self, ticket: asyncio.Future[None]) -> None:
        """Wait no longer."""
        self._waiting.discard(ticket)
        if not self._waiting:
            self._stop_listening()

    async def wait(self, ticket: asyncio.Future[None], timeout: float) -> None:
        """Wait for the ring, for `interval` or for ``timeout``, whichever comes first."""
        try:
            async with asyncio.timeout(min(timeout, self.interval)):
                await ticket
        except TimeoutError:
            pass
        finally:
            self.drop(ticket)

    def _listen_if_waited_for(self) -> None:
        if self._loop is not None and self._ends is not None and self._waiting:
            self._loop.add_reader(self._ends[0], self._on_ring)

    def _stop_listening(self) -> None:
        if self._loop is not None and self._ends is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._ends[0])

    def _on_ring(self) -> None:
        self.drain()
        self.notify()

    def _make_pipe(self) -> tuple[int, int]:
        os.makedirs(self.directory, exist_ok=True)
        hidden = self._path(f".{self.name}")
        os.mkfifo(hidden)
        try:
            reading = os.open(hidden, os.O_RDONLY | os.O_NONBLOCK)
            # Our own writing end: without it the pipe would be at its end whenever nobody writes.
            writing = os.open(hidden, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            os.unlink(hidden)
            raise
        os.rename(hidden, self._path(self.name))
        return reading, writing

    # -- the others: on the writer's thread ------------------------------------------------

    def ring(self) -> None:
        """Wake the other processes; never waits, never raises."""
        with contextlib.suppress(OSError):
            changed_ns = os.stat(self.directory).st_mtime_ns
            if changed_ns != self._listed_ns:
                self._list_peers()
                self._listed_ns = changed_ns
        for name, end in list(self._peers.items()):
            try:
                os.write(end, b"\0")
            except BlockingIOError:
                pass
            except OSError:
                os.close(self._peers.pop(name))

    def _list_peers(self) -> None:
        there = {n for n in self._names() if n != self.name}
        for name in self._peers.keys() - there:
            os.close(self._peers.pop(name))
        for name in there - self._peers.keys():
            with contextlib.suppress(OSError):
                self._peers[name] = os.open(self._path(name), os.O_WRONLY | os.O_NONBLOCK)

    def _forget_peers(self) -> None:
        for end in self._peers.values():
            os.close(end)
        self._peers.clear()
        self._listed_ns = -1

    # -- who lives: on any thread ------------------------------------------------------------

    def is_dead(self, name: str) -> bool:
        """Is that process certainly gone?  One whose pipe is missing may live."""
        try:
            os.close(os.open(self._path(name), os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            return error.errno == errno.ENXIO
        return False

    def the_dead(self) -> list[str]:
        """Return the processes whose pipes are still there, but nobody reads."""
        return [name for name in self._names() if name != self.name and self.is_dead(name)]

    def bury(self, names: list[str]) -> None:
        """Remove the pipes of dead processes (after what they held has been freed)."""
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(self._path(name))

    def _names(self) -> list[str]:
        with contextlib.suppress(OSError):
            return [n for n in os.listdir(self.directory) if n.endswith(_SUFFIX) and n[0] != "."]
        return []

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)
