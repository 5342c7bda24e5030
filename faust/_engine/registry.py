"""What the app has been told: tasks, timers, crontabs, pages, commands, services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PageSpec", "Registry", "TaskSpec", "TimerSpec"]


@dataclass(frozen=True)
class TaskSpec:
    """A function that runs once the app is operational."""

    fun: Callable[..., Any]
    on_leader: bool = False


@dataclass(frozen=True)
class TimerSpec:
    """A function that runs again and again.

    Attributes:
        interval: Seconds between runs, or ``None`` for a crontab.
        cron: The crontab's expression, or ``None``.
        timezone: Of the crontab.
    """

    fun: Callable[..., Any]
    name: str
    interval: float | None = None
    cron: str | None = None
    timezone: Any = None
    on_leader: bool = False
    max_drift_correction: float = 0.1


@dataclass(frozen=True)
class PageSpec:
    """A web view.

    Attributes:
        path: URL path, with ``{name}`` for parameters.
        view: View class.
        name: Name for reverse look-ups.
    """

    path: str
    view: Any
    name: str
    cors_options: Any = None


@dataclass
class Registry:
    """Everything that was declared, in order."""

    tasks: list[TaskSpec] = field(default_factory=list)
    timers: list[TimerSpec] = field(default_factory=list)
    pages: list[PageSpec] = field(default_factory=list)
    commands: list[Any] = field(default_factory=list)
    services: list[Any] = field(default_factory=list)
