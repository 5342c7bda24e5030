"""Django: set up before anything else, and INSTALLED_APPS scanned by autodiscovery."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from typing import Any

from faust.exceptions import ImproperlyConfigured
from faust.fixups.base import Fixup

__all__ = ["DjangoFixup"]

#: Django's own variable: the module of its settings.
SETTINGS = "DJANGO_SETTINGS_MODULE"


class DjangoFixup(Fixup):
    """In use where Django is installed and ``DJANGO_SETTINGS_MODULE`` is set."""

    def enabled(self) -> bool:
        """Is Django in use?

        Raises:
            ImproperlyConfigured: its settings are named, but it is not installed.
        """
        if not os.environ.get(SETTINGS):
            return False
        if find_spec("django") is None:
            raise ImproperlyConfigured(
                f"{SETTINGS} is set, but Django is not installed: install it, or unset the variable"
            )
        return True

    def on_worker_init(self) -> None:
        """Set Django up and run its checks; what they find goes to standard error."""
        _set_up()
        # That they found nothing is no output of a command (``--json``).
        _django("django.core.management").call_command("check", stdout=StringIO())

    def autodiscover_modules(self) -> Iterable[str]:
        """Return the packages of Django's apps; Django is set up, if nobody has done it yet."""
        _set_up()
        configs: Iterable[Any] = _django("django.apps").apps.get_app_configs()
        own = "faust.contrib."
        return [config.name for config in configs if not config.name.startswith(own)]


def _set_up() -> None:
    if not _django("django.apps").apps.apps_ready:
        _django("django").setup()


def _django(name: str) -> Any:
    return import_module(name)
