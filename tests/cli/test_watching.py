"""Which files are source, when they have changed, and what Python cannot read in them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from faust.cli.supervise import folders_of
from faust.cli.watching import SourceWatcher, syntax_error_in


def test_changed_new_and_deleted_files_are_noticed_once_they_have_settled(tmp_path: Path) -> None:
    app, package = tmp_path / "app.py", tmp_path / "pkg"
    package.mkdir()
    app.write_text("a")
    (package / "old.py").write_text("a")
    watcher = SourceWatcher([tmp_path, tmp_path])
    assert watcher.look() == set()
    app.write_text("a = 1")
    (package / "new.py").write_text("b")
    assert watcher.look() == set()
    (package / "old.py").unlink()
    assert watcher.look() == set()
    assert watcher.look() == {str(app), str(package / "new.py"), str(package / "old.py")}
    assert watcher.look() == set()


def test_a_file_that_is_replaced_by_another_of_the_same_size_is_noticed(tmp_path: Path) -> None:
    app, other = tmp_path / "app.py", tmp_path / "other"
    app.write_text("a")
    watcher = SourceWatcher([tmp_path])
    other.write_text("b")
    os.utime(other, ns=(app.stat().st_atime_ns, app.stat().st_mtime_ns))
    other.replace(app)
    watcher.look()
    assert watcher.look() == {str(app)}


def test_what_is_no_source_of_the_app_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    watcher = SourceWatcher([tmp_path])
    for name in (".hidden/a.py", "__pycache__/a.py", "env/a.py", "node_modules/a.py", "data.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a")
    watcher.look()
    assert watcher.look() == set()


def test_what_python_cannot_read_is_one_sentence_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = tmp_path / "app.py"
    app.write_text("import faust\n\ndef f(:\n    pass\n")
    assert syntax_error_in(str(app)) == "app.py, line 3: invalid syntax: def f(:"
    app.write_bytes(b"a = '\xff'\n")
    assert "app.py, line 1: " in syntax_error_in(str(app))
    app.write_text("x = '\\d'\n")
    assert syntax_error_in(str(app)) == ""
    app.unlink()
    assert syntax_error_in(str(app)) == ""


def test_an_apps_source_is_the_working_directory_or_its_package_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for package in (here / "watched_a", there / "watched_b"):
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [*sys.path, str(here), str(there)])
    assert folders_of("watched_a.app", None) == [here]
    assert folders_of("watched_b.app:app", None) == [here, there / "watched_b"]
    assert folders_of("../there/watched_b/app.py", None) == [here, there / "watched_b"]
    assert folders_of("nowhere.app", str(there)) == [there]
