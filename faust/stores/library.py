"""RocksDB's own library: imported when the first database is opened, and tuned in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from faust.exceptions import ImproperlyConfigured
from faust.stores.base import Checkpoint
from faust.stores.encoding import CHECKPOINT_KEY, FORMAT, FORMAT_KEY, decode_checkpoint
from faust.stores.options import RocksDBOptions

__all__ = ["Library"]

#: RocksDB's own log file is begun anew at this size.
_LOG_FILE_SIZE = 1 << 20


class Library:
    """rocksdict, imported when the first database is opened, and what its databases share."""

    def __init__(self, options: RocksDBOptions) -> None:
        try:
            import rocksdict
        except ImportError as exc:
            raise ImproperlyConfigured(
                "store 'rocksdb://' needs the package rocksdict: pip install 'faust[rocksdb]'"
            ) from exc
        self._rocksdict: Any = rocksdict
        self._options = options
        self._cache = self._rocksdict.Cache(options.block_cache_size)
        self._memtables = self._rocksdict.WriteBufferManager(options.memtable_budget, False)
        self._write_options = self._rocksdict.WriteOptions()
        self._write_options.memtable_insert_hint_per_batch = True

    def open(self, path: Path) -> Any:
        """Open, or create, the database at ``path``."""
        return self._rocksdict.Rdict(str(path), self._database_options())

    def read_checkpoint(self, path: Path) -> Checkpoint | None:
        """Return the checkpoint of the database at ``path``, which is only read.

        Raises:
            Exception: it cannot be read, or is not of this format.
        """
        mode = self._rocksdict.AccessType.read_only()
        db = self._rocksdict.Rdict(str(path), self._database_options(), access_type=mode)
        try:
            ours = db.get(FORMAT_KEY) == FORMAT
            return decode_checkpoint(db.get(CHECKPOINT_KEY)) if ours else None
        finally:
            db.close()

    def batch(self) -> Any:
        """Return a new, empty write batch."""
        return self._rocksdict.WriteBatch(raw_mode=True)

    def write(self, db: Any, batch: Any) -> None:
        """Write ``batch`` to ``db`` as a whole."""
        db.write(batch, self._write_options)

    def _database_options(self) -> Any:
        options, ours = self._rocksdict.Options(raw_mode=True), self._options
        options.create_if_missing(True)
        options.set_write_buffer_size(ours.write_buffer_size)
        options.set_write_buffer_manager(self._memtables)
        options.set_max_write_buffer_number(ours.max_write_buffer_number)
        options.set_target_file_size_base(ours.target_file_size_base)
        options.set_max_open_files(ours.max_open_files)
        options.set_compression_type(self._rocksdict.DBCompressionType.lz4())
        options.set_block_based_table_factory(self._table_options())
        # Opening fast: no statistics to read; little of RocksDB's own logging to keep.
        options.set_skip_stats_update_on_db_open(True)
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(_LOG_FILE_SIZE)
        return options

    def _table_options(self) -> Any:
        table = self._rocksdict.BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_cache_index_and_filter_blocks(True)
        table.set_pin_l0_filter_and_index_blocks_in_cache(True)
        if self._options.bloom_filter_size:
            table.set_bloom_filter(self._options.bloom_filter_size, False)
        return table
