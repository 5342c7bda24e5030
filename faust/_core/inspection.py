"""What a process shows of itself: its title, its threads and tasks, a debugger, a console."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import traceback
from contextlib import AbstractContextManager
from types import FrameType
from typing import IO, Any

__all__ = [
    "debug_here",
    "print_tasks",
    "print_threads",
    "set_title",
    "start_console",
]


def set_title(title: str) -> None:
    """Show in ``ps`` and ``top`` what this process is, where setproctitle is installed."""
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(title)


def start_console(
    loop: asyncio.AbstractEventLoop, port: int, names: dict[str, Any]
) -> AbstractContextManager[Any] | None:
    """Let aiomonitor show the loop's tasks; return what ends it, or ``None`` where it is missing.

    Arguments:
        port: Where ``telnet localhost`` reaches it; the next two are its web pages and its Python.
        names: What its Python knows.
    """
    try:
        from aiomonitor import start_monitor
    except ImportError:
        return None
    console: AbstractContextManager[Any] = start_monitor(
        loop, port=port, webui_port=port + 1, console_port=port + 2, locals=names
    )
    return console


def print_threads(file: IO[Any]) -> None:
    """Print where every thread is.  May be called by a signal handler of Python.

    It is not `faulthandler` that does it: that reads the frames of other threads while they run,
    and was seen to end the process.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    with contextlib.suppress(RuntimeError):  # a write was interrupted by this very signal
        for ident, frame in sys._current_frames().items():
            print(f"\nThread {names.get(ident, ident)!r}:", file=file)
            traceback.print_stack(frame, file=file)
        file.flush()


def print_tasks(loop: asyncio.AbstractEventLoop, file: Any) -> None:
    """Print where every task of an event loop is.  May be called by a signal handler."""
    with contextlib.suppress(RuntimeError):  # a write was interrupted by this very signal
        for task in asyncio.all_tasks(loop):
            print(f"\nTask {task.get_name()!r}:", file=file)
            task.print_stack(file=file)
        file.flush()


def debug_here(frame: FrameType | None) -> bool:
    """Start the debugger where the program is; return whether there is a terminal to do it on."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    import pdb

    pdb.Pdb(nosigint=True).set_trace(frame)
    return True
