"""Crash points: every ``await`` of the files where a crash matters, and who hangs in which.

A task that is suspended stands at one ``await`` in each function of its stack.  So a process can
be killed *at* a given line of the committer without a change to the committer.
"""

from __future__ import annotations

import ast
import gc
import importlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["ENGINE", "CrashPoint", "crash_points", "phase_of", "points_of"]

#: Where a crash must be survived at every step.
ENGINE = (
    "faust._engine.committer",
    "faust._engine.restorer",
    "faust._engine.replay",
    "faust._engine.takeback",
    "faust._engine.startpoints",
    "faust._engine.standbys",
    "faust._engine.following",
    "faust._engine.rebalancer",
    "faust._engine.engine",
    "faust._engine.task_manager",
    "faust._engine.takeback",
    "faust._engine.following",
    "faust._engine.state",
    "faust._engine.atleastonce",
    "faust._engine.exactlyonce",
)


class CrashPoint(NamedTuple):
    """One ``await``.

    Attributes:
        module: Last part of the module's name.
        function: Name of the function.
        text: The source of the expression, shortened.
    """

    module: str
    function: str
    text: str

    def __str__(self) -> str:
        return f"{self.module}.{self.function}: {self.text}"


@cache
def crash_points(modules: tuple[str, ...] = ENGINE) -> dict[tuple[str, int], CrashPoint]:
    """Return all points of some modules: (file, line) -> point."""
    found: dict[tuple[str, int], CrashPoint] = {}
    for name in modules:
        file = importlib.import_module(name).__file__
        assert file is not None
        source = Path(file).read_text()
        for function, node in _awaits(ast.parse(source), ""):
            text = " ".join(ast.unparse(node).split())[:60]
            point = CrashPoint(name.rpartition(".")[2], function, text)
            end = node.end_lineno or node.lineno
            if not isinstance(node, ast.Await):
                end = node.lineno
            for line in range(node.lineno, end + 1):
                found.setdefault((file, line), point)
    return found


def _awaits(node: ast.AST, function: str) -> Iterator[tuple[str, Any]]:
    for child in ast.iter_child_nodes(node):
        name = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            name = child.name
        if isinstance(child, ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield name, child
        yield from _awaits(child, name)


def points_of(coroutine: Any, points: dict[tuple[str, int], CrashPoint]) -> Iterable[CrashPoint]:
    """Return the points at which a suspended coroutine stands, outermost first."""
    found: list[CrashPoint] = []
    for _ in range(60):
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
        if frame is not None:
            point = points.get((frame.f_code.co_filename, frame.f_lineno))
            if point is not None:
                found.append(point)
        following = getattr(coroutine, "cr_await", None)
        if following is None:
            following = getattr(coroutine, "ag_await", None)
        if following is None:
            # An ``async for`` stands between us and its generator, and only the collector knows it.
            following = next(
                (each for each in gc.get_referents(coroutine) if isinstance(each, AsyncGenerator)),
                None,
            )
        if following is None:
            break
        coroutine = following
    return found


#: Phase -> the modules, or the functions (``module.function``), in which a worker stands then; the
#: rarest first.  What comes first names the phase.
PHASES = {
    "undo": {"takeback"},
    "restore": {"restorer"},
    "commit": {
        "committer._commit", "committer._send_commit", "committer._look_up",
        "atleastonce._send_commit", "exactlyonce.commit",
    },
    "produce": {"committer._produce", "committer._append_all", "atleastonce", "exactlyonce"},
    "rebalance": {"rebalancer._join", "rebalancer._revoke", "rebalancer._plan"},
}  # fmt: skip


def phase_of(points: Iterable[CrashPoint]) -> str:
    """Return what a worker that stands at some points is doing; "" if it is none of `PHASES`."""
    where = {name for p in points for name in (p.module, f"{p.module}.{p.function}")}
    return next((phase for phase, names in PHASES.items() if names & where), "")
