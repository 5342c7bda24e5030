"""Faults planted on purpose, each of which the tests must notice: the tests of the tests."""
