"""`faust new`: the project that it writes runs at once; names that will not do are explained."""

from __future__ import annotations

import json
import signal
import urllib.request
from pathlib import Path

import pytest
from cli_support import invoke, run, started

from faust.cli.projects import files_of_project


def test_a_new_project_runs_its_worker_its_commands_and_its_test(tmp_path: Path) -> None:
    made = run(tmp_path, "-m", "faust", "new", "wordy", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    project = tmp_path / "wordy"
    written = {str(p.relative_to(project)) for p in project.rglob("*") if p.is_file()}
    assert written == set(files_of_project("wordy"))
    assert "cd wordy\n  faust -A wordy.app worker -l info" in made.stdout

    env = {"FAUST_BROKER_URL": "", "FAUST_DATADIR": ""}  # what the project itself says
    with started(tmp_path, "-m", "faust", "-A", "wordy.app", "worker", "-l", "info",
                 cwd=project, **env) as worker:  # fmt: skip
        worker.wait_for("Worker ready")
        sent = run(tmp_path, "-m", "faust", "-A", "wordy.app", "send", "@split_lines",
                   "to be or not to be", cwd=project, **env)  # fmt: skip
        assert sent.returncode == 0, sent.stderr
        worker.wait_for("^be: 2$")
        with urllib.request.urlopen(f"{worker.url}/count/be/", timeout=60) as answer:
            assert json.loads(answer.read()) == {"word": "be", "count": 2}
        listed = run(tmp_path, "-m", "faust", "-A", "wordy.app", "--json", "topics",
                     cwd=project, **env)  # fmt: skip
        assert {"wordy-lines", "wordy-words", "wordy-counts-changelog"} <= {
            row["topic"] for row in json.loads(listed.stdout)
        }
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0
    tested = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project, **env)
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr


def test_the_commands_in_its_readme_are_there() -> None:
    readme = files_of_project("wordy")["README.md"]
    commands = [line.strip() for line in readme.splitlines() if line.startswith("    faust ")]
    for command in commands:
        name = command.split()[3]
        assert invoke(name, "--help").status == 0, command
    assert len(commands) == 5


def test_what_is_there_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    ended = invoke("new", "there")
    assert ended.status == 2
    assert "there is there already, and stays as it is" in ended.err
    assert list((tmp_path / "there").iterdir()) == []


def test_it_may_be_made_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke("-q", "new", "wordy", "--in", "some/where") == (0, "", "")
    assert (tmp_path / "some" / "where" / "wordy" / "wordy" / "app.py").exists()
    (tmp_path / "file").touch()
    ended = invoke("new", "wordy", "--in", "file")
    assert ended.status == 2
    assert "file/wordy cannot be made: Not a directory" in ended.err


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("my-app", "'my-app' cannot be the name of a package"),
        ("my-app", "a letter first): 'my_app' would do"),
        ("My App!", "'my_app' would do"),
        ("3things", "'things' would do"),
        ("a/b", "'a_b' would do"),
        ("für", "cannot be the name"),
        ("", "cannot be the name"),
        ("class", "'class' is a word of Python"),
        ("json", "'json' is the name of a module that is installed"),
        ("faust", "'faust' is the name of a module that is installed"),
        ("tests", "is the name of a module"),
        ("aiohttp", "'aiohttp' is the name of a module that is installed"),
    ],
)
def test_names_that_will_not_do_are_explained(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = invoke("new", name)
    assert (ended.status, ended.out) == (2, "")
    assert told in ended.err
    assert len(ended.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
