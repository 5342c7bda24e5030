"""What a process shows of itself: its title, its threads and tasks, a debugger, a console."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import io
import signal
import sys
from contextlib import AbstractContextManager
from types import FrameType
from typing import IO, Any

__all__ = [
    "debug_here",
    "print_tasks",
    "set_title",
    "show_threads_on",
    "show_threads_on_no_longer",
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


def show_threads_on(number: signal.Signals, file: IO[Any]) -> bool:
    """Print where every thread is when this signal comes, whatever runs then, C code included.

    The handler that is installed now is called after that.  Return whether it could be arranged:
    ``file`` must be a real one.
    """
    try:
        descriptor = file.fileno()
    except (io.UnsupportedOperation, AttributeError, ValueError):
        return False
    faulthandler.register(number, file=descriptor, all_threads=True, chain=True)
    return True


def show_threads_on_no_longer(number: signal.Signals) -> None:
    """Take `show_threads_on` back."""
    faulthandler.unregister(number)


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
