"""What the source of an app says, as facts: calls, settings, imports, decorators, with their lines.

The source is read, not run.  Names are followed as far as they can be seen in one file: what
``faust.App()`` is assigned to is an app, what its ``Table()`` is assigned to a table, the first
argument of an agent a stream, and so on.  A name ``app`` that is imported is taken for an app.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["UNKNOWN", "Fact", "facts_of"]


class _Unknown:
    def __repr__(self) -> str:
        return "<unknown>"


#: The value of what is not written down as a constant.
UNKNOWN: Any = _Unknown()

#: What a call gives: name of the call -> kind of its result.
_RESULTS = {
    "faust.App": "app",
    "app.Table": "table",
    "app.GlobalTable": "table",
    "app.SetTable": "table",
    "app.SetGlobalTable": "table",
    "app.topic": "topic",
    "app.channel": "channel",
    "app.stream": "stream",
    "app.service": "service",
    "topic.stream": "stream",
    "channel.stream": "stream",
    "stream.events": "events",
}
#: Methods whose result is of the same kind.
_SAME = {
    "table": ("tumbling", "hopping", "sliding", "using_window", "relative_to", "relative_to_now",
              "relative_to_field", "relative_to_stream"),
    "stream": ("group_by", "through", "filter", "noack", "echo", "take", "rate_limit", "items"),
}  # fmt: skip
#: Decorators of functions that no event of a topic calls.
_NOT_EVENTS = ("timer", "crontab", "task", "page", "command")


@dataclass(frozen=True)
class Fact:
    """Something that is written in the source.

    Attributes:
        kind: ``call``, ``setting``, ``import``, ``class`` (its base), ``attribute``, ``with``,
            ``and``, ``write`` (to a table), ``change`` (of an object in a table), ``agent``.
        name: What of; calls are ``app.Table``, ``stream.take``, ``faust.App``, ….
        line: Where.
        given: Keyword arguments: name -> value, if it is a constant.
        values: Positional arguments, the same.
        value: Of a setting.
        shape: Class of the first argument's syntax, ``Lambda``, ``Name``, …; of a setting
            ``subclass``, if it is given to a class of the user's own.
    """

    kind: str
    name: str
    line: int
    given: dict[str, Any] = field(default_factory=dict)
    values: tuple[Any, ...] = ()
    value: Any = UNKNOWN
    shape: str = ""


def facts_of(source: bytes | str, filename: str = "<source>") -> list[Fact]:
    """Return the facts in a file.

    Raises:
        SyntaxError: Python cannot read it.
    """
    reader = _Reader()
    reader.visit(ast.parse(source, filename=filename))
    return sorted(reader.facts, key=lambda fact: fact.line)


class _Reader(ast.NodeVisitor):
    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self._kinds: list[dict[str, str]] = [{"app": "app"}]
        #: Names of imported things: what they are called here -> their path.
        self._paths: dict[str, str] = {}
        #: Why what is being read may not write tables; "" where it may.
        self._no_writes = ""
        self._agents: set[str] = set()
        self._subclasses: set[str] = set()

    # -- names -----------------------------------------------------------------------------------

    def _kind(self, node: ast.expr) -> str:
        """Return what an expression is: ``app``, ``table``, …; "" if that cannot be seen."""
        if isinstance(node, ast.Name):
            return next((k[node.id] for k in reversed(self._kinds) if node.id in k), "")
        if isinstance(node, ast.Await):
            return self._kind(node.value)
        if isinstance(node, ast.Subscript):
            return "item" if self._kind(node.value) == "table" else ""
        if isinstance(node, ast.Attribute):
            if node.attr in ("app", "conf"):
                return node.attr
            return "topic" if node.attr == "channel" else ""
        return self._kind_of_result(node) if isinstance(node, ast.Call) else ""

    def _kind_of_result(self, node: ast.Call) -> str:
        name = self._name(node.func)
        owner, _, method = name.partition(".")
        if method in _SAME.get(owner, ()):
            return owner
        return _RESULTS.get(name, "")

    def _name(self, node: ast.expr) -> str:
        """Return the name of what is called or used: ``app.Table``, ``faust.App``, ``x.y``."""
        if isinstance(node, ast.Name):
            return self._paths.get(node.id, node.id)
        if not isinstance(node, ast.Attribute):
            return ""
        kind = self._kind(node.value)
        if kind:
            return f"{kind}.{node.attr}"
        owner = self._name(node.value)
        return f"{owner}.{node.attr}" if owner else f".{node.attr}"

    def _note(self, kind: str, name: str, node: ast.AST, **more: Any) -> None:
        self.facts.append(Fact(kind, name, getattr(node, "lineno", 0), **more))

    # -- statements ------------------------------------------------------------------------------

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._paths[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )
            self._note("import", alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            path = f"{node.module or ''}.{alias.name}"
            self._paths[alias.asname or alias.name] = path
            self._note("import", path, node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            name = self._name(base)
            self._note("class", name, node)
            if name == "faust.App":
                self._paths[node.name] = "faust.App"
                self._subclasses.add(node.name)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assigned(target, node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assigned(node.target, node.value)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._written(node.target)
        self.generic_visit(node)

    def _assigned(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            kind = self._kind(value)
            if kind:
                self._kinds[-1][target.id] = kind
            return
        if isinstance(target, ast.Attribute) and self._kind(target.value) == "conf":
            self._note("setting", target.attr, target, value=_constant(value))
        self._written(target)

    def _written(self, target: ast.expr) -> None:
        """Note what is written to a table where it may not be, or to an object in one."""
        if isinstance(target, ast.Subscript) and self._kind(target.value) == "table":
            if self._no_writes:
                self._note("write", self._no_writes, target)
        elif isinstance(target, ast.Attribute | ast.Subscript) and (
            self._kind(target.value) == "item"
        ):
            self._note("change", "item", target)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        for item in node.items:
            if self._kind(item.context_expr) == "event":
                self._note("with", "event", node)
        self.generic_visit(node)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> None:
        if isinstance(node.target, ast.Name) and self._kind(node.iter) == "events":
            self._kinds[-1][node.target.id] = "event"
        self.generic_visit(node)

    # -- functions -------------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        before, names = self._no_writes, dict[str, str]()
        for decorator in node.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            owner, _, what = self._name(call).partition(".")
            if owner == "app" and what == "agent":
                self._agent(node, decorator, names)
            elif owner == "app" and what in _NOT_EVENTS:
                self._no_writes = what
        self._kinds.append(names | _annotated(node))
        self.generic_visit(node)
        self._kinds.pop()
        self._no_writes = before

    def _agent(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef,
        decorator: ast.expr,
        names: dict[str, str],
    ) -> None:
        given = _given(decorator) if isinstance(decorator, ast.Call) else {}
        name = given.get("name", node.name)
        if isinstance(name, str):
            if name in self._agents:
                self._note("agent", "same name", node)
            self._agents.add(name)
        if isinstance(node, ast.FunctionDef):
            self._note("agent", "not async", node)
        if (given.get("concurrency") or 1) != 1:
            self._no_writes = "concurrency"
        self._kinds[-1][node.name] = "agent"
        arguments = [a.arg for a in node.args.args if a.arg != "self"]
        if arguments:
            names[arguments[0]] = "stream"

    # -- expressions -----------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        name, given = self._name(node.func), _given(node)
        values = tuple(_constant(value) for value in node.args)
        shape = type(node.args[0]).__name__ if node.args else ""
        self._note("call", name, node, given=given, values=values, shape=shape)
        if name == "faust.App":
            for keyword in node.keywords:
                if keyword.arg is not None:
                    value = _constant(keyword.value)
                    shape = "" if self._is_faust_itself(node.func) else "subclass"
                    self._note("setting", keyword.arg, keyword.value, value=value, shape=shape)
        if isinstance(node.func, ast.Attribute) and self._kind(node.func.value) == "item":
            self._note("change", f"item.{node.func.attr}", node)
        self.generic_visit(node)

    def _is_faust_itself(self, node: ast.expr) -> bool:
        return not (isinstance(node, ast.Name) and node.id in self._subclasses)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._note("attribute", self._name(node), node)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.BitAnd) and {self._kind(node.left), self._kind(node.right)} & {
            "stream",
            "table",
        }:
            self._note("and", "stream", node)
        self.generic_visit(node)


def _annotated(node: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, str]:
    """Return the arguments that are said to be streams, events or apps."""
    found: dict[str, str] = {}
    for argument in node.args.args:
        if argument.annotation is not None:
            words = _words(argument.annotation)
            for kind, types in _ANNOTATIONS.items():
                if words & types:
                    found[argument.arg] = kind
    return found


_ANNOTATIONS = {
    "stream": {"Stream", "StreamT"},
    "event": {"Event", "EventT"},
    "app": {"App", "AppT"},
    "table": {"Table", "TableT"},
}


def _words(node: ast.expr) -> set[str]:
    def found() -> Iterator[str]:
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                yield part.id
            elif isinstance(part, ast.Attribute):
                yield part.attr

    return set(found())


def _given(node: ast.Call) -> dict[str, Any]:
    return {k.arg: _constant(k.value) for k in node.keywords if k.arg is not None}


def _constant(node: ast.expr) -> Any:
    """Return the value of a constant; of ``Guarantee.EXACTLY_ONCE`` its last name."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return UNKNOWN
