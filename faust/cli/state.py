"""What stands before the command, and how a command says that it was used wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from faust.exceptions import FaustError, ImproperlyConfigured

__all__ = ["State", "UsageError", "is_wrong_use"]


class UsageError(FaustError):
    """The command is used wrongly: one sentence, exit status 2."""


@dataclass
class State:
    """The options given before the command.

    Attributes:
        app: The app, or ``None`` where the command needs none.
        app_path: What ``-A`` says.
    """

    app: Any = None
    quiet: bool = False
    debug: bool = False
    json: bool = False
    workdir: str | None = None
    datadir: str | None = None
    loop: str | None = None
    logfile: str | None = None
    loglevel: str | None = None
    blocking_timeout: float | None = None
    console_port: int | None = None
    app_path: str | None = None


def is_wrong_use(error: BaseException) -> bool:
    """Is it the caller who can do something about it (exit status 2)?"""
    return isinstance(error, UsageError | ImproperlyConfigured)
