"""How a worker writes its log."""

from __future__ import annotations

import logging
import os
from typing import IO, Any

from faust.utils.statusline import StatusLine, StatusLineHandler

__all__ = ["LOG_FORMAT", "log_handler"]

LOG_FORMAT = "[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s"
_COLORS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "1;31", "INFO": "32", "DEBUG": "34"}


def log_handler(target: str | IO[Any], line: StatusLine | None = None) -> logging.Handler:
    """Return what writes log records to a file.

    Arguments:
        target: The file, or its path.
        line: The status line of the terminal that ``target`` is: records stand above it, coloured
            unless ``NO_COLOR`` is set.
    """
    handler: logging.Handler
    if isinstance(target, str):
        handler = logging.FileHandler(target)
    elif line is not None:
        handler = StatusLineHandler(line, target)
    else:
        handler = logging.StreamHandler(target)
    colored = line is not None and "NO_COLOR" not in os.environ
    handler.setFormatter(_Colored(LOG_FORMAT) if colored else logging.Formatter(LOG_FORMAT))
    return handler


class _Colored(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        color = _COLORS.get(record.levelname, "0")
        label = f"[{record.levelname}]"
        return text.replace(label, f"\x1b[{color}m{label}\x1b[0m", 1)
