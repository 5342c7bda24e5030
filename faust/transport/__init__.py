"""The port to a log with consumer groups, and its drivers."""
