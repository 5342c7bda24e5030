"""The table manager: all tables of an app, and where their state is kept on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mode import Service

from faust.exceptions import ImproperlyConfigured
from faust.stores.apart import Apart, clear_apart

if TYPE_CHECKING:
    from faust._context import AppContext
    from faust._values import TP
    from faust.stores.base import PartitionStore, Store
    from faust.tables.base import Collection

__all__ = ["TableManager"]


class TableManager(Service, Mapping[str, "Collection"]):
    """The tables of an app, by name.

    Arguments:
        app: The app.
    """

    abstract = False

    def __init__(self, app: AppContext, **options: Any) -> None:
        super().__init__(**options)
        self.app = app
        self._tables: dict[str, Collection] = {}
        self._stores: dict[str, Store] = {}
        self._apart: Apart | None = None
        self.frozen = False

    def add(self, table: Collection) -> Collection:
        """Add a table; before the worker has started.

        Raises:
            ImproperlyConfigured: there is one of that name, or the worker has started.
        """
        if table.name in self._tables:
            raise ImproperlyConfigured(
                f"there are two tables with the name {table.name!r}: give one another name "
                f"(its changelog is named after it)"
            )
        if self.frozen:
            raise ImproperlyConfigured(
                f"table {table.name!r} is defined after the worker has started: define tables when "
                f"the module is imported, because their partitions are assigned at the start"
            )
        table.check_definition()
        self._tables[table.name] = table
        return table

    # -- what the app says: override to be told ----------------------------------------------

    def on_rebalance_start(self) -> None:
        """A rebalance has begun."""

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],
        newly_assigned: set[TP],
        generation_id: int = 0,
    ) -> None:
        """A rebalance has said what this worker has; tells every table.

        Arguments:
            assigned: Everything that is this worker's now.
            revoked: What it has just given up.
            newly_assigned: What it did not have before.
        """
        for table in self._tables.values():
            await table.on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """These partitions are about to go."""

    def on_actives_ready(self) -> None:
        """Everything that is this worker's is restored, and being processed."""

    def on_standbys_ready(self) -> None:
        """The copies kept here of what others process, and their parts of global tables, are here:
        they have come to what was committed when it was last looked."""

    def on_commit(self, offsets: Mapping[TP, int]) -> None:
        """These offsets are committed, and so are the tables up to them."""
        for tp in offsets:
            self.on_commit_tp(tp)

    def on_commit_tp(self, tp: TP) -> None:
        """A partition was committed."""

    # -- state on this machine -------------------------------------------------------------

    def open_store(self, table: Collection, partition: int) -> PartitionStore:
        """Open one partition of a table.

        Raises:
            StoreLocked: another process holds it.
            OSError: the directory cannot be written.
        """
        return self.store_for(table).open(table.name, partition)

    def open_apart(self, table: Collection, partition: int) -> PartitionStore:
        """Open one partition in a directory of its own, used by this process only.

        What such directories of processes that are gone have left is deleted at the start.

        Raises:
            OSError: the directory cannot be written.
        """
        directory = self._apart = self._apart or Apart(self.directory)
        key = f"{directory.path}|{self._key(table)}"
        store = self._stores.get(key)
        if store is None:
            store = self._stores[key] = self._make_store(table, directory.path)
        return store.open(table.name, partition)

    def store_for(self, table: Collection) -> Store:
        """Return the store that keeps a table."""
        key = self._key(table)
        store = self._stores.get(key)
        if store is None:
            store = self._stores[key] = self._make_store(table, self.directory)
        return store

    def _key(self, table: Collection) -> str:
        url = str(table.store_url or self.app.conf.store)
        return f"{url}|{sorted(table.options.items())}"

    def _make_store(self, table: Collection, directory: Path) -> Store:
        from faust.stores import store_by_url

        url = str(table.store_url or self.app.conf.store)
        return store_by_url(url, directory, table.options)

    @property
    def directory(self) -> Path:
        """Where tables are kept."""
        return Path(self.app.conf.tabledir)

    def close_stores(self) -> None:
        """Close everything that is open."""
        for store in self._stores.values():
            store.close()
        self._stores.clear()
        apart, self._apart = self._apart, None
        if apart is not None:
            apart.delete()

    async def on_start(self) -> None:
        """Start the tables."""
        clear_apart(self.directory)
        for table in self._tables.values():
            if table._stopped.is_set():
                table.service_reset()
            await table.maybe_start()

    async def on_stop(self) -> None:
        """Stop the tables, and close the stores."""
        for table in self._tables.values():
            await table.stop()
        self.close_stores()

    # -- a mapping -------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Collection:
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __bool__(self) -> bool:
        return True

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    @property
    def label(self) -> str:
        """Name shown in logs."""
        return f"{type(self).__name__}({len(self._tables)})"
