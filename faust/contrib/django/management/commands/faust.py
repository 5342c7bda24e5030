"""``manage.py faust``: the ``faust`` program for the app that Django's settings name."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

__all__ = ["Command"]


class Command(BaseCommand):
    """Hands its arguments to the ``faust`` program."""

    help = "Run the faust program (worker, agents, send, ...) for the app that FAUST_APP names."

    def run_from_argv(self, argv: list[str]) -> None:
        """Run it with everything behind ``faust``, also what looks like an option of Django's."""
        raise SystemExit(self._run(argv[2:]))

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it for ``call_command("faust", "agents")``.

        Raises:
            CommandError: it ended with another status than 0.
        """
        status = self._run([str(arg) for arg in args])
        if status:
            raise CommandError(f"faust ended with status {status}", returncode=status)

    def add_arguments(self, parser: Any) -> None:
        """Take whatever comes."""
        parser.add_argument("args", nargs="*")

    @staticmethod
    def _run(args: list[str]) -> int:
        from faust.cli.faust import run_program

        where = getattr(settings, "FAUST_APP", None)
        if where:
            os.environ.setdefault("FAUST_APP", where)
        elif not {"-A", "--app", "--help"} & set(args) and "FAUST_APP" not in os.environ:
            sys.stderr.write(
                "manage.py faust: which app? Say FAUST_APP = 'package.module:app' in Django's "
                "settings, or -A package.module:app\n"
            )
            return 2
        return run_program(args)
