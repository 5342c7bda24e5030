"""Settings of the worker process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from faust.settings.kinds import Bool, Duration, JSONMapping, LogLevel
from faust.settings.params import Kind, Section, setting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from logging import Handler

__all__ = ["WorkerSettings"]

_GivenHandlers: TypeAlias = "Iterable[Handler]"
_Handlers: TypeAlias = "list[Handler]"


class LogHandlers(Kind[_GivenHandlers, _Handlers]):
    """Log handlers."""

    annotation = "Iterable[Handler]"
    expects = "a list of logging.Handler objects"

    def convert(self, value: Any) -> list[Handler]:
        from logging import Handler

        handlers = list(value)
        if not all(isinstance(handler, Handler) for handler in handlers):
            raise TypeError
        return handlers


class WorkerSettings(Section, title="Worker"):
    """Logging, and watching over the process."""

    loghandlers = setting(
        LogHandlers(),
        default=None,
        text="The log handlers of workers. Where given, they are the only ones.",
    )
    logging_config = setting(
        JSONMapping(),
        default=None,
        since="1.5",
        text="A mapping for ``logging.config.dictConfig``, or JSON text of one.",
    )
    worker_redirect_stdouts = setting(
        Bool(),
        default=False,
        env="WORKER_REDIRECT_STDOUTS",
        text="""Whether what the app prints goes to the log. By default it goes to the console as it
        is printed, and at once.""",
    )
    worker_redirect_stdouts_level = setting(
        LogLevel(),
        default="WARN",
        env="WORKER_REDIRECT_STDOUTS_LEVEL",
        text="The level at which what the app prints is logged.",
    )
    blocking_timeout = setting(
        Duration(above_zero=True),
        default=10.0,
        env="BLOCKING_TIMEOUT",
        option="--blocking-timeout",
        text="""Seconds for which the event loop may be blocked before a warning says where: stack,
        agent, partition and offset. Heartbeats go on meanwhile.""",
    )
