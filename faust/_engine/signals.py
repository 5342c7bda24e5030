"""Signals: told when the app is configured, when partitions come and go, when a worker begins.

Thin over callables: a signal belongs to the class, and every instance has a bound one.  ``@sig``
and ``@sig.connect`` both connect and leave the function as it is.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import Any, TypeVar, overload

from faust.exceptions import ImproperlyConfigured

__all__ = ["Signal", "SyncSignal"]

F = TypeVar("F", bound=Callable[..., Any])


class _Handler:
    """Who is called, and for whom.

    Attributes:
        fun: Returns it, or ``None`` once it is gone.
        sender: The only sender it is called for, or ``None``.
    """

    __slots__ = ("fun", "sender")

    def __init__(self, fun: Callable[[], Callable[..., Any] | None], sender: Any) -> None:
        self.fun = fun
        self.sender = sender

    def is_for(self, fun: Callable[..., Any], sender: Any) -> bool:
        return self.fun() == fun and self.sender is sender


class BoundSignal:
    """A signal of one sender, or of all (``sender`` is ``None``)."""

    def __init__(self, name: str, *, asynchronous: bool, parent: BoundSignal | None = None) -> None:
        self.name = name
        self.asynchronous = asynchronous
        self._parent = parent
        self._handlers: list[_Handler] = []

    def connect(
        self, fun: Any = None, *, weak: bool = False, sender: Any = None, **_options: Any
    ) -> Any:
        """Call ``fun(sender, ..., **kwargs)`` whenever it is sent; may be used as a decorator.

        Who is connected already is not called twice.

        Arguments:
            weak: Do not keep ``fun`` alive: it is called for as long as somebody else holds it.
            sender: Call it for this sender only.

        Raises:
            ImproperlyConfigured: ``fun`` takes no ``**kwargs``, or is asynchronous where that
                cannot be waited for.
        """
        if fun is None:
            return lambda f: self.connect(f, weak=weak, sender=sender)
        self._check(fun)
        if not any(handler.is_for(fun, sender) for handler in self._handlers):
            self._handlers.append(_Handler(_reference(fun) if weak else lambda: fun, sender))
        return fun

    def __call__(self, fun: Any = None, **options: Any) -> Any:
        """Connect, as `connect` does."""
        return self.connect(fun, **options)

    def _check(self, fun: Callable[..., Any]) -> None:
        name = getattr(fun, "__qualname__", repr(fun))
        if not callable(fun):
            raise TypeError(f"{self.name}: a handler must be callable, not {fun!r}")
        if not self.asynchronous and inspect.iscoroutinefunction(fun):
            raise ImproperlyConfigured(
                f"{self.name} is a synchronous signal: define its handler {name} with 'def', "
                f"not with 'async def'"
            )
        try:
            parameters = inspect.signature(fun).parameters.values()
        except (TypeError, ValueError):
            return
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            raise ImproperlyConfigured(
                f"{self.name}: handler {name} must accept **kwargs, so that arguments can be "
                f"added later: def {getattr(fun, '__name__', 'handler')}(app, ..., **kwargs)"
            )

    def disconnect(self, fun: Callable[..., Any], *, sender: Any = None, **_options: Any) -> None:
        """Call ``fun`` no more (for this sender; by default, for any)."""
        self._handlers = [
            handler
            for handler in self._handlers
            if handler.fun() is not None
            and not (handler.fun() == fun and sender in (None, handler.sender))
        ]

    def handlers(self, sender: Any = None) -> list[Callable[..., Any]]:
        """Return who is called for a sender: who is connected to its class first, then its own."""
        inherited = [] if self._parent is None else self._parent.handlers(sender)
        own = [
            target
            for handler in self._handlers
            if handler.sender in (None, sender) and (target := handler.fun()) is not None
        ]
        return [*inherited, *own]

    def __bool__(self) -> bool:
        return bool(self._handlers) or (self._parent is not None and bool(self._parent))


class _BoundSync(BoundSignal):
    def send(self, sender: Any, *args: Any, **kwargs: Any) -> None:
        """Call every handler; what one raises is raised, and those behind it are not called."""
        for handler in self.handlers(sender):
            handler(sender, *args, signal=self, **kwargs)


class _BoundAsync(BoundSignal):
    async def send(self, sender: Any, *args: Any, **kwargs: Any) -> None:
        """Call every handler, one after the other; what one raises is raised, and ends it."""
        for handler in self.handlers(sender):
            result = handler(sender, *args, signal=self, **kwargs)
            if inspect.isawaitable(result):
                await result


class _Descriptor:
    kind: type[BoundSignal]
    asynchronous: bool

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._owner = owner
        self._of_classes: weakref.WeakKeyDictionary[type, BoundSignal] = weakref.WeakKeyDictionary()

    def _bound(self, instance: Any, owner: type) -> Any:
        of_class = self._of_class(owner)
        if instance is None:
            return of_class
        made = instance.__dict__.get(self._name)
        if made is None:
            made = self.kind(self._name, asynchronous=self.asynchronous, parent=of_class)
            instance.__dict__[self._name] = made
        return made

    def _of_class(self, owner: type) -> BoundSignal:
        """Return the signal of a class; what is connected to its bases is called first."""
        made = self._of_classes.get(owner)
        if made is None:
            bases = [base for base in owner.__mro__[1:] if issubclass(base, self._owner)]
            parent = self._of_class(bases[0]) if bases else None
            made = self.kind(self._name, asynchronous=self.asynchronous, parent=parent)
            self._of_classes[owner] = made
        return made


class SyncSignal(_Descriptor):
    """Declares a synchronous signal on a class."""

    kind = _BoundSync
    asynchronous = False

    @overload
    def __get__(self, instance: None, owner: type) -> _BoundSync: ...
    @overload
    def __get__(self, instance: object, owner: type) -> _BoundSync: ...
    def __get__(self, instance: object | None, owner: type) -> _BoundSync:
        bound: _BoundSync = self._bound(instance, owner)
        return bound


class Signal(_Descriptor):
    """Declares an asynchronous signal on a class."""

    kind = _BoundAsync
    asynchronous = True

    @overload
    def __get__(self, instance: None, owner: type) -> _BoundAsync: ...
    @overload
    def __get__(self, instance: object, owner: type) -> _BoundAsync: ...
    def __get__(self, instance: object | None, owner: type) -> _BoundAsync:
        bound: _BoundAsync = self._bound(instance, owner)
        return bound


def _reference(target: Callable[..., Any]) -> Callable[[], Callable[..., Any] | None]:
    if hasattr(target, "__self__"):
        return weakref.WeakMethod(target)
    return weakref.ref(target)
