"""How Django knows this app."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["FaustConfig"]


class FaustConfig(AppConfig):
    """The app ``faust``, with one command and no models."""

    name = "faust.contrib.django"
    label = "faust"
    verbose_name = "Faust"
