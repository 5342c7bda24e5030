"""What a worker prints first: who it is, and where it finds everything."""

from __future__ import annotations

import io
import os
import platform
import shutil
import sys
from typing import Any

__all__ = ["banner"]


def banner(app: Any, *, log: str, loop: str | None = None) -> str:
    """Return the banner as text, without a newline at its end."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from faust.cli.version import installed_version

    grid = Table(
        box=box.SQUARE,
        show_header=False,
        title=f"ƒaµS† v{installed_version()}",
        title_justify="left",
        title_style="bold",
    )
    grid.add_column(no_wrap=True, style="cyan")
    grid.add_column(overflow="fold")
    for name, value in _rows(app, log, loop):
        grid.add_row(name, Text(value))
    out = io.StringIO()
    width = shutil.get_terminal_size((100, 24)).columns
    colored = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    console = Console(file=out, width=width, force_terminal=colored, legacy_windows=False)
    console.print(grid)
    return out.getvalue().rstrip("\n")


def _rows(app: Any, log: str, loop: str | None) -> list[tuple[str, str]]:
    from faust.utils.urls import show_url

    conf = app.conf
    rows = [
        ("id", str(conf.id)),
        ("broker", ";".join(show_url(url) for url in conf.broker)),
        ("store", show_url(conf.store)),
        ("group", str(conf.id)),
        ("agents", _names(app, app.agents)),
        ("tables", _names(app, app.tables)),
    ]
    if conf.web_enabled:
        rows.append(("web", _web(app)))
    rows += [
        ("log", log),
        ("pid", str(os.getpid())),
        ("hostname", platform.node()),
        (
            "platform",
            f"{platform.python_implementation()} {platform.python_version()} "
            f"({platform.system()} {platform.machine()}){f', {loop}' if loop else ''}",
        ),
        ("drivers", _drivers(app)),
        ("datadir", str(conf.datadir.absolute())),
        ("appdir", str(conf.appdir.absolute())),
    ]
    return rows


def _names(app: Any, names: Any) -> str:
    from faust._core.names import shorten_name

    return ", ".join(sorted(shorten_name(name, app.conf.origin) for name in names)) or "none"


def _drivers(app: Any) -> str:
    from faust._engine.connection import transport_class

    versions = [transport_class(app.conf.broker[0].scheme).driver_version]
    if app.conf.web_enabled:
        versions.append(app.web.driver_version)
    return ", ".join(version.replace("=", " ") for version in versions)


def _web(app: Any) -> str:
    if not app.conf.web_port and app.serving is app.web:
        return "any free port"
    return f"{app.web_server_url.rstrip('/')}/"
