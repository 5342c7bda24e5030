import subprocess
import sys
from pathlib import Path

import pytest

from faust.exceptions import ImproperlyConfigured
from faust.stores import store_by_url
from faust.stores.memory import MemoryStore
from faust.stores.rocksdb import RocksDBStore


class OwnStore(MemoryStore):
    pass


class NoStore:
    def __init__(self, *args: object) -> None:
        pass


def test_a_scheme_names_its_store(tmp_path: Path) -> None:
    assert type(store_by_url("memory://", tmp_path)) is MemoryStore
    store = store_by_url("rocksdb://", tmp_path / "deep" / "down")
    assert type(store) is RocksDBStore
    assert store.directory == tmp_path / "deep" / "down"
    assert not store.directory.exists(), "nothing is touched before a partition is opened"


def test_a_class_path_is_a_scheme(tmp_path: Path) -> None:
    for url in (f"{__name__}.OwnStore://", f"{__name__}.OwnStore"):
        assert type(store_by_url(url, tmp_path)) is OwnStore


def test_an_unknown_scheme_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"'rocks://'.*memory://, rocksdb://"):
        store_by_url("rocks://", tmp_path)


def test_a_class_path_that_leads_nowhere_names_the_missing_part(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="no module 'nowhere'"):
        store_by_url("nowhere.Store://", tmp_path)
    with pytest.raises(ImproperlyConfigured, match="'Missing'"):
        store_by_url(f"{__name__}.Missing://", tmp_path)
    with pytest.raises(ImproperlyConfigured, match=r"not a faust\.stores\.Store"):
        store_by_url(f"{__name__}.NoStore://", tmp_path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"write_buffer": 1}, "no option 'write_buffer'; did you mean 'write_buffer_size'?"),
        ({"zzz": 1}, "no option 'zzz'; there is write_buffer_size, "),
        ({"block_cache_size": "1G"}, "'block_cache_size' must be an integer, at least 1, not '1G'"),
        ({"block_cache_size": True}, "must be an integer"),
        ({"write_buffer_size": 0}, "at least 1, not 0"),
        ({"ttl": 60}, "'ttl' is not supported: the changelog would bring back"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    tmp_path: Path, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        store_by_url("rocksdb://", tmp_path, options)
    assert sentence in str(caught.value)


def test_an_option_that_lost_its_effect_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"use_rocksdict": True, "driver": "rocksdict", "ttl": None, "max_open_files": -1}
    store = RocksDBStore(tmp_path, options)
    assert store.options.max_open_files == -1
    assert caplog.messages == ["rocksdb:// options without effect any more: driver, use_rocksdict"]


def test_the_library_is_not_imported_before_a_partition_is_opened(tmp_path: Path) -> None:
    program = (
        "import sys; from faust.stores import store_by_url;"
        f"store = store_by_url('rocksdb://', {str(tmp_path)!r});"
        "assert 'rocksdict' not in sys.modules; store.open('t', 0);"
        "assert 'rocksdict' in sys.modules; store.close()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
