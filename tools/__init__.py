"""Helpers of the working tree that are not part of the distribution."""
