"""The ``faust`` program."""

from faust.cli.base import AppCommand, Command, call_command
from faust.cli.params import argument, option

__all__ = ["AppCommand", "Command", "argument", "call_command", "option"]
