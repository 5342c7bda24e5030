"""Wrong use is answered by one sentence and exit status 2, never by a traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from cli_support import run, started

APP = """
import faust
app = faust.App('proj', broker_unavailable_timeout=0.5)

@app.agent()
async def double(stream):
    async for value in stream:
        pass
"""

SHOP = """
import faust
app = faust.App('shop', autodiscover=True, origin='shop')
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "proj.py").write_text(APP)
    (tmp_path / "broken.py").write_text("import faust\n\nvalue = undefined_name\n")
    (tmp_path / "syntax.py").write_text("def f(:\n")
    (tmp_path / "needs.py").write_text("import not_there_at_all\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "wrong.py").write_text("import faust\napp = faust.App('w', stores='memory://')\n")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "app.py").write_text(SHOP)
    (tmp_path / "shop" / "agents.py").write_text("\nstock = prices['none']\n")
    return tmp_path


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["agents"], "which app?"),
        (["-A", "nowhere", "agents"], "there is no module 'nowhere'"),
        (["-A", "nowhere.py", "agents"], "there is no file 'nowhere.py'"),
        (["-A", "proj:other", "agents"], "has no app 'other' (-A proj:other): it has app"),
        (["-A", "empty", "agents"], "it has no app at all"),
        (["-A", "broken", "agents"], "'undefined_name' is not defined (broken.py, line 3)"),
        (["-A", "syntax", "agents"], "(syntax.py, line 1)"),
        (["-A", "needs", "agents"], "No module named 'not_there_at_all' (needs.py, line 1)"),
        (["-A", "shop", "agents"], "has no app 'app' (-A shop): say -A shop.app"),
        (["-A", "wrong", "agents"], "there is no setting 'stores'; did you mean 'store'?"),
        (["-A", "proj", "agent"], "there is no command 'agent'; did you mean 'agents'?"),
        (["-A", "proj", "send", "@triple", "1"], "there is no agent @triple (there are: @double)"),
        (["-A", "proj", "send", "@double", "1", "-V", "Nothing"], "there is no 'Nothing'"),
        (["-A", "proj", "send", "@double", "x", "-V", "int"], "'x' is no int"),
        (["-A", "proj", "model", "Nothing"], "there is no model 'Nothing'"),
        (["-A", "proj", "worker", "--web-port", "70000"], "70000 is no port"),
        (["-A", "proj", "worker", "-l", "loud"], "'loud' is not one of"),
        (["-A", "proj", "-W", "/no/such/dir", "agents"], "cannot change to '/no/such/dir'"),
    ],
)
def test_wrong_use_is_one_sentence(project: Path, args: list[str], told: str) -> None:
    shown = run(project, "-m", "faust", *args, cwd=project)
    assert shown.returncode == 2, shown.stderr
    assert told in shown.stderr
    assert len(shown.stderr.strip().splitlines()) == 1
    assert shown.stdout == ""


def test_an_unknown_broker_is_one_sentence(project: Path) -> None:
    shown = run(
        project,
        "-m",
        "faust",
        "-A",
        "proj",
        "-q",
        "worker",
        cwd=project,
        FAUST_BROKER_URL="nope://",
    )
    assert shown.returncode == 2
    assert "unknown scheme 'nope'" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_broker_that_is_away_for_longer_than_the_limit_ends_the_worker(project: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"kafka://127.0.0.1:{nobody.getsockname()[1]}"
        for command in (["worker"], ["send", "@double", "x"]):
            shown = run(
                project, "-m", "faust", "-A", "proj", *command, cwd=project, FAUST_BROKER_URL=url
            )
            assert shown.returncode == 1
            assert "no broker has answered" in shown.stderr.splitlines()[-1]
            assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("command", ["worker", "agents", "--help"])
def test_what_is_scanned_and_cannot_be_imported_is_a_traceback_and_a_sentence(
    project: Path, command: str
) -> None:
    """It ends with the line of the user's; nothing is started."""
    shown = run(project, "-m", "faust", "-A", "shop.app", command, cwd=project)
    assert shown.returncode == 2
    first, *_, last = shown.stderr.strip().splitlines()
    assert first == "Traceback (most recent call last):"
    assert "stock = prices['none']" in shown.stderr
    assert last.endswith(
        "what autodiscover finds cannot be imported: NameError: name 'prices' is not defined "
        "(shop/agents.py, line 2)"
    )
    assert shown.stdout == ""


def test_a_used_port_is_one_sentence_and_nothing_is_started(project: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        shown = run(
            project, "-m", "faust", "-A", "proj", "-q", "worker", "-p", str(port), cwd=project
        )
    assert shown.returncode == 2
    assert "it is in use. Choose another with --web-port" in shown.stderr
    assert len(shown.stderr.strip().splitlines()) == 1
    assert not (project / "broker.db").exists()


def test_without_web_a_used_port_does_not_matter(project: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        args = ["-A", "proj", "worker", "-l", "info", "--without-web"]
        port = str(taken.getsockname()[1])
        with started(project, "-m", "faust", *args, cwd=project, FAUST_WEB_PORT=port) as worker:
            worker.wait_for("Worker ready")


def test_the_data_directory_must_be_writable(project: Path) -> None:
    (project / "file").write_text("")
    shown = run(
        project, "-m", "faust", "-A", "proj", "-D", "file/data", "-q", "worker", cwd=project
    )
    assert shown.returncode == 2
    assert "cannot be written" in shown.stderr
    assert "--datadir" in shown.stderr
    assert "Traceback" not in shown.stderr
