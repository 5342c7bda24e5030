"""What every table has: a name, types, a changelog, and one slice of state for each task.

The hot path is `Table.__getitem__` and `Table.__setitem__` in ``table.py``; this file is what they
stand on.  The slices are in ``slices.py``, the changelog is described in ``changelog.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

from faust.exceptions import ImproperlyConfigured
from faust.tables import changelog
from faust.tables.expiry import Expiry
from faust.tables.slices import SlicedState
from faust.windows import Window, WindowRange

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._values import TP
    from faust.stores.overlay import Slice, SliceCodec
    from faust.topics import Topic

__all__ = ["Collection"]


class Collection(SlicedState):
    """State that is spread over the workers of an app, and kept in a changelog.

    Arguments:
        app: The app.
        name: Its name, unique in the app.
        default: Called without arguments for the value of a key that is missing.
        key_type, value_type, schema: How keys and values are typed and encoded.
        partitions: Partitions of the changelog (default: those of the topics of the agents that
            write it, else ``topic_partitions``).
        window: Makes it a windowed table.
        changelog_topic: Use this topic for the changelog.
        help: One line, shown by ``faust tables``.
        on_recover: Coroutine function, called when a restore has finished, before events come.
        on_changelog_event: Coroutine function, called with every event of the changelog that it is
            restored from.
        on_window_close: Called with (key, value) when a window has closed.
        store: URL of the store (default: the app's).
        options: Options for the store.
        extra_topic_configs: Further configuration of the changelog topic.
        is_global: Every worker reads all of it.
    """

    abstract = False
    mundane_level = "debug"
    #: Does it tell of every access (see `faust.tables.watched`)?
    watched: ClassVar[bool] = False
    #: The class without that, for those that do.
    plain: ClassVar[type | None] = None

    def __init__(
        self,
        app: AppContext,
        *,
        name: str | None = None,
        default: Callable[[], Any] | None = None,
        store: Any = None,
        schema: Any = None,
        key_type: Any = None,
        value_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        partitions: int | None = None,
        window: Window | None = None,
        changelog_topic: Topic[Any] | None = None,
        help: str | None = None,
        on_recover: Callable[[], Awaitable[None]] | None = None,
        on_changelog_event: Callable[[Any], Awaitable[None]] | None = None,
        on_window_close: Callable[[Any, Any], Any] | None = None,
        recover_callbacks: Iterable[Callable[[], Awaitable[None]]] = (),
        extra_topic_configs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        is_global: bool = False,
        beacon: Any = None,
        loop: Any = None,
        **_future: Any,
    ) -> None:
        if not name:
            raise TypeError("a table needs a name")
        super().__init__(beacon=beacon, loop=loop)
        self.app = app
        self.name = name
        self.default = default
        self.store_url = store
        self.key_type = key_type
        self.value_type = value_type
        self.key_serializer = key_serializer
        self.value_serializer = value_serializer
        self.schema = schema
        self.partitions = partitions
        self.window: Window | None = None
        self.help = help or ""
        self.extra_topic_configs = dict(extra_topic_configs or {})
        self.options = dict(options or {})
        self.is_global = is_global
        self.on_window_close_callback = on_window_close
        self.on_changelog_event_callback = on_changelog_event
        self.recover_callbacks = list(recover_callbacks)
        if on_recover is not None:
            self.recover_callbacks.append(on_recover)
        #: Called with (key, range) of writes that came too late for their window.
        self.late_callbacks: list[Callable[[Any, WindowRange], None]] = []
        self._changelog_topic = changelog_topic
        #: Partition -> the time that its events have reached, for windows that expire.
        self.watermarks: dict[int, float] = {}
        self.expiry: Expiry | None = None
        self._wrappers: WeakSet[Any] = WeakSet()
        self._codec: SliceCodec | None = None
        self.set_window(window)

    # -- the changelog -----------------------------------------------------------------

    @property
    def changelog_topic_name(self) -> str:
        """Name of the changelog topic: ``{app id}-{table}-changelog``."""
        if self._changelog_topic is not None:
            return self._changelog_topic.get_topic_name()
        return f"{self.app.conf.id}-{self.name}-changelog"

    @property
    def changelog_topic(self) -> Topic[Any]:
        """The changelog topic: compacted, and stamped by the broker's clock."""
        if self._changelog_topic is None:
            self._changelog_topic = changelog.topic_for(self)
        return self._changelog_topic

    @property
    def codec(self) -> SliceCodec:
        """How keys and values are encoded in the changelog and the store."""
        if self._codec is None:
            self._codec = self._make_codec()
        return self._codec

    def _make_codec(self) -> SliceCodec:
        return changelog.codec_for(self)

    # -- every access: only where overridden, or a sensor wants to know -----------------------

    def on_key_get(self, key: Any) -> None:
        """Called when a key is read; of a windowed table it is ``(key, window)``."""
        hooks = self.app.sensors.table_hooks
        if hooks is not None:
            hooks.get(self, key)

    def on_key_set(self, key: Any, value: Any) -> None:
        """Called when a key was set."""
        hooks = self.app.sensors.table_hooks
        if hooks is not None:
            hooks.set(self, key, value)

    def on_key_del(self, key: Any) -> None:
        """Called when a key was deleted."""
        hooks = self.app.sensors.table_hooks
        if hooks is not None:
            hooks.delete(self, key)

    def on_clear(self) -> None:
        """Called when all keys of a partition were deleted."""

    # -- life ------------------------------------------------------------------------------

    def on_recover(self, fun: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Decorate a coroutine function that is called whenever a restore has finished."""
        self.recover_callbacks.append(fun)
        return fun

    async def call_recover_callbacks(self) -> None:
        """A restore has finished."""
        for fun in self.recover_callbacks:
            await fun()

    @property
    def hears_recovery(self) -> bool:
        """Does anybody want to know when it is restored?"""
        overridden = type(self).on_recovery_completed is not Collection.on_recovery_completed
        return overridden or bool(self.recover_callbacks)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Called when partitions of the changelog were restored, before their events come."""
        await self.call_recover_callbacks()

    @property
    def hears_changelog(self) -> bool:
        """Does anybody want to see what it is restored from?"""
        overridden = type(self).on_changelog_event is not Collection.on_changelog_event
        return overridden or self.on_changelog_event_callback is not None

    async def on_changelog_event(self, event: Any) -> None:
        """Called with every record of the changelog that the table is restored from.

        Its value is ``None`` for a key that was deleted.  Override it, or give
        ``on_changelog_event``.
        """
        if self.on_changelog_event_callback is not None:
            await self.on_changelog_event_callback(event)

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],
        newly_assigned: set[TP],
        generation_id: int = 0,
    ) -> None:
        """Called when a rebalance has said what this worker has; override to be told."""

    def reset_state(self) -> None:
        """Delete what is kept of it on this machine; the next start restores it.

        Raises:
            RuntimeError: it is in use.
        """
        if self.slices:
            raise RuntimeError(f"table {self.name!r} is in use: stop the worker, then reset it")
        tables: Any = self.app.tables
        tables.store_for(self).destroy(self.name)

    # -- windows -------------------------------------------------------------------------

    def set_window(self, window: Window | None) -> None:
        """Make it a windowed table.

        Raises:
            ImproperlyConfigured: it has other windows already: both would be kept under one name.
        """
        known = self.window
        if known is not None and window is not None and repr(known) != repr(window):
            raise ImproperlyConfigured(
                f"table {self.name!r} has windows already ({known}) and cannot have others "
                f"({window}) besides them: define another table"
            )
        self.window = window
        self._codec = None
        if window is None or window.expires is None:
            self.expiry = None
        elif self.expiry is None:
            self.expiry = Expiry(self, window, self.watermarks)

    def add_wrapper(self, wrapper: Any) -> None:
        """The table is used through this wrapper, too: it tells by which clock windows expire."""
        self._wrappers.add(wrapper)

    @property
    def by_wall_clock(self) -> bool:
        """Is it a windowed table that is used relative to now, and no other way?"""
        return bool(self._wrappers) and all(each.by_wall_clock for each in self._wrappers)

    async def expire(self, piece: Slice, now: float) -> int:
        """Delete the windows of a slice that have expired, and call `on_window_close` for each.

        Arguments:
            piece: One of the slices; its task must be alive.
            now: The wall clock, Unix time in seconds.

        Returns how many keys were deleted.  They are dirty: the next commit of the task has them.

        Raises:
            Exception: what `on_window_close` raised; that window is still there.
        """
        return 0 if self.expiry is None else await self.expiry.sweep(piece, now)

    def restore_watermark(self, partition: int, value: float) -> None:
        """Set how far the time of a partition had come, as its last commit says."""
        if self.expiry is not None:
            self.expiry.restore(partition, value)

    async def on_window_close(self, key: Any, value: Any) -> None:
        """Called with ``(key, (start, end))`` and the last value when a window has expired.

        Override it, or give ``on_window_close``; nothing is called for windows without ``expires``.
        """
        if self.on_window_close_callback is not None:
            result = self.on_window_close_callback(key, value)
            if isawaitable(result):
                await result

    def on_late(
        self, fun: Callable[[Any, WindowRange], None]
    ) -> Callable[[Any, WindowRange], None]:
        """Decorate a function that is called with (key, range) when a write is left out because its
        window has closed already.

        It is called within the event, so `faust.current_event` is that event, and what it sends
        with `send_soon` belongs to it.

        Raises:
            TypeError: ``fun`` is no plain function.
        """
        if not callable(fun) or iscoroutinefunction(fun):
            raise TypeError(f"table {self.name!r}: on_late takes a plain function, not {fun!r}")
        self.late_callbacks.append(fun)
        return fun

    @property
    def hears_window_close(self) -> bool:
        """Does anybody want to know when a window has expired?"""
        overridden = type(self).on_window_close is not Collection.on_window_close
        return overridden or self.on_window_close_callback is not None

    def clone(self, **options: Any) -> Any:
        """Return a table like this one, with some options changed."""
        return (self.plain or type(self))(**{**self.info(), **options})

    def info(self) -> dict[str, Any]:
        """Return the options that make up this table."""
        return {
            "app": self.app,
            "name": self.name,
            "default": self.default,
            "store": self.store_url,
            "schema": self.schema,
            "key_type": self.key_type,
            "value_type": self.value_type,
            "key_serializer": self.key_serializer,
            "value_serializer": self.value_serializer,
            "partitions": self.partitions,
            "window": self.window,
            "help": self.help,
            "on_window_close": self.on_window_close_callback,
            "on_changelog_event": self.on_changelog_event_callback,
            "recover_callbacks": set(self.recover_callbacks),
            "extra_topic_configs": dict(self.extra_topic_configs),
            "options": dict(self.options),
            "is_global": self.is_global,
        }

    @property
    def label(self) -> str:
        """Name shown in logs."""
        return f"{type(self).__name__}: {self.name}"

    @property
    def shortlabel(self) -> str:
        """Short name shown in logs."""
        return self.label

    def check_definition(self) -> None:
        """Raise what can be known to be wrong before the worker starts."""
        if self.partitions is not None and self.partitions < 1:
            raise ImproperlyConfigured(
                f"table {self.name!r}: partitions must be at least 1, not {self.partitions}"
            )

    def check_use(self) -> None:
        """Raise what is known to be wrong only when all is declared."""
        if self.late_callbacks and self.window is None:
            raise ImproperlyConfigured(
                f"table {self.name!r} has on_late, but no windows that something can be late for"
            )
