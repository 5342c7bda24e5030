"""The published conformance suite, on every store of ours."""

from faust.testing.store_conformance import StoreConformance


class TestMemory(StoreConformance):
    url = "memory://"


class TestRocksDB(StoreConformance):
    url = "rocksdb://"


class TestRocksDBWithTinyBuffers(StoreConformance):
    url = "rocksdb://"
    options = {
        "write_buffer_size": 65536,
        "max_write_buffer_number": 2,
        "target_file_size_base": 65536,
        "block_cache_size": 65536,
        "bloom_filter_size": 0,
        "max_open_files": 16,
    }
