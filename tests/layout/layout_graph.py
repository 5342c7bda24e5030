"""What every file of the package imports, read from its ast."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "faust"


@dataclass(frozen=True)
class Import:
    """One import of one module.

    Attributes:
        module: Who imports.
        imported: What: ours as the very module, others by their full name.
        line: Where.
        lazy: Inside of a function.
    """

    module: str
    imported: str
    line: int
    lazy: bool

    @property
    def top(self) -> str:
        """The distribution, more or less."""
        return self.imported.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.imported}"


@dataclass(frozen=True)
class Module:
    """One file."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


@cache
def modules() -> dict[str, Module]:
    """All modules of the package, by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, path, text, ast.parse(text, str(path)))
    return found


@cache
def imports() -> tuple[Import, ...]:
    """All imports of all modules, typing-only ones and those inside of functions included."""
    return tuple(found for module in modules().values() for found in _imports_of(module))


def _imports_of(module: Module) -> Iterator[Import]:
    for node, lazy in _walk(module.tree, lazy=False):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module.name, alias.name, node.lineno, lazy)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(module, node)
            for name in dict.fromkeys(_targets(source, [alias.name for alias in node.names])):
                yield Import(module.name, name, node.lineno, lazy)


def _walk(node: ast.AST, *, lazy: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, lazy
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _walk(child, lazy=lazy or inside)


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    base = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


def _targets(source: str, names: list[str]) -> Iterator[str]:
    """``from a import b`` means ``a.b`` where that is a module of ours, otherwise ``a``."""
    for name in names:
        yield f"{source}.{name}" if f"{source}.{name}" in modules() else source


def within(name: str, prefix: str) -> bool:
    """Whether ``name`` is ``prefix`` or below it; "" is above everything."""
    return not prefix or name == prefix or name.startswith(f"{prefix}.")


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected parts of more than one module (Tarjan), each sorted."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph.get(name, ())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            part = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(part) > 1 or name in graph.get(name, ()):
                found.append(sorted(part))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found
