"""Choices."""

from __future__ import annotations

from faust._values import ProcessingGuarantee

__all__ = ["ProcessingGuarantee"]
