"""Ends a process when the one that started it is gone, however that ended.

A watchdog is a tiny process of its own that sees its parent change.  (The kernel's parent-death
signal will not do: it fires when the *thread* that started the child ends.)
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import os, shutil, sys, time
parent, child, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
while os.getppid() == parent:
    time.sleep(0.2)
try:
    os.kill(child, 9)
except ProcessLookupError:
    pass
time.sleep(0.2)
if folder:
    shutil.rmtree(folder, ignore_errors=True)
"""


def watch_over(pid: int, folder: Path | None = None) -> subprocess.Popen[bytes]:
    """Kill ``pid`` and remove ``folder`` once this process has ended; return the watchdog.

    Kill and reap the watchdog *before* reaping the child: it must never see a process id that
    somebody else has been given meanwhile.
    """
    arguments = [str(os.getpid()), str(pid), str(folder or "")]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
