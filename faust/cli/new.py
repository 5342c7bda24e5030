"""``faust new``: begin a project."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from faust.cli.base import Command, UsageError
from faust.cli.params import argument, option
from faust.cli.projects import files_of_project

__all__ = ["new"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class new(Command):
    """Begin a project: an app, a test and a README.

    They are written to a new directory, NAME, which is also the name of the package and the id of
    the app. It runs at once, without a server: its broker is a file.
    """

    abstract = False
    require_app = False
    examples = """
    Examples:
      faust new orders
      faust new orders --in ~/src
    """
    options = [
        option("--in", "folder", default=".", metavar="DIR", help="Where the directory is made."),
        argument("name"),
    ]

    async def run(self, name: str, *, folder: str) -> None:
        """Write the files; nothing that is there is touched.

        Raises:
            UsageError: the name will not do, or the directory is there.
        """
        check_name(name)
        project = Path(folder) / name
        try:
            project.mkdir(parents=True)
        except FileExistsError:
            raise UsageError(f"{project} is there already, and stays as it is") from None
        except OSError as exc:
            raise UsageError(f"{project} cannot be made: {exc.strerror}") from exc
        for path, text in files_of_project(name).items():
            (project / path).parent.mkdir(exist_ok=True)
            (project / path).write_text(text, encoding="utf-8")
            self.say(f"  {project / path}")
        self.say(
            f"\nNow:\n  cd {project}\n  faust -A {name}.app worker -l info\n"
            f"  faust -A {name}.app send @split_lines 'to be or not to be'\n"
            "  python -m pytest"
        )


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a package.

    Raises:
        UsageError: it cannot; the message says why, and what would do.
    """
    if keyword.iskeyword(name):
        raise UsageError(f"{name!r} is a word of Python: a package cannot be called that")
    if not _NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789")
        hint = f": {better!r} would do" if better and not keyword.iskeyword(better) else ""
        raise UsageError(
            f"{name!r} cannot be the name of a package (small letters, digits, _; "
            f"a letter first){hint}"
        )
    if name in sys.stdlib_module_names or name in ("faust", "tests") or _is_installed(name):
        raise UsageError(f"{name!r} is the name of a module that is installed: choose another")


def _is_installed(name: str) -> bool:
    """Is there such a module, other than in the working directory?"""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return True
    if spec is None:
        return False
    here = str(Path.cwd())
    return not any(str(place).startswith(here) for place in [spec.origin, *_places(spec)] if place)


def _places(spec: object) -> list[str]:
    return list(getattr(spec, "submodule_search_locations", None) or [])
