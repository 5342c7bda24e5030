"""Functions made from source text: for packages that add methods to models this way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import indent
from typing import Any

__all__ = ["Function"]


def Function(
    name: str,
    args: Sequence[str],
    body: Sequence[str],
    *,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    argsep: str = ", ",
) -> Callable[..., Any]:
    """Return a function made from the lines of its body.

    Arguments:
        name: Its name.
        args: Its arguments, as they are written (``"limit=10"``).
        body: The lines of its body.  Never make them of what comes from outside.
        globals, locals: The names that they may use; those of ``locals`` come first.
        argsep: What stands between the arguments.

    Raises:
        SyntaxError: The text is no Python.
    """
    text = "\n".join(body) or "pass"
    namespace: dict[str, Any] = {**(globals or {}), **(locals or {})}
    source = f"def {name}({argsep.join(args)}):\n{indent(text, '    ')}\n"
    exec(compile(source, f"<function {name}>", "exec"), namespace)
    made: Callable[..., Any] = namespace[name]
    return made
