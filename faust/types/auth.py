"""Credentials."""

from __future__ import annotations

from faust.auth import Credentials as CredentialsT

__all__ = ["CredentialsT"]
