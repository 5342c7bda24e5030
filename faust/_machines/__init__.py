"""Decisions: pure, no await, no clock, no logger, no third-party import."""
