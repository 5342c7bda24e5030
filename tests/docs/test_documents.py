"""The code in README and docs, taken out of them and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.flights.worker import free_port

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
#: The first line of a block says which file it is, or is the next part of.
FILE = re.compile(r"# (\w+\.py)(, continued)?\n")
LINK = re.compile(r"\[[^]]+\]\(([^)#:]+)\)")


def files_of(document: Path) -> dict[str, str]:
    files: dict[str, str] = {}
    for code in BLOCK.findall(document.read_text(encoding="utf-8")):
        told = FILE.match(code)
        assert told is not None, f"{document.name}: say in a comment which file this is:\n{code}"
        name, continued = told.groups()
        assert bool(continued) == (name in files), f"{document.name}: {name} begins twice, or never"
        files[name] = files.get(name, "") + code
    return files


def write(document: Path, folder: Path) -> list[str]:
    files = files_of(document)
    for name, code in files.items():
        (folder / name).write_text(code, encoding="utf-8")
    return list(files)


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=folder, env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def worker(folder: Path, module: str) -> Iterator[str]:
    """A worker of an app in a folder, until the block ends; gives the address of its pages."""
    port = free_port()
    command = [sys.executable, "-m", "faust", "-A", module, "worker", "--web-bind", "127.0.0.1"]
    with (folder / "out.txt").open("wb") as out:
        process = subprocess.Popen(
            [*command, "--web-port", str(port)],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            status = process.wait(60)
        finally:
            process.kill()
    assert status == 0, (folder / "out.txt").read_text()


def answer(url: str) -> str:
    """What a page answers, as soon as it does so with 200."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return str(response.read().decode())
        except (OSError, urllib.error.HTTPError):
            assert time.monotonic() < deadline, f"no answer from {url}"
            time.sleep(0.05)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_in_a_document_can_be_imported(document: Path, tmp_path: Path) -> None:
    for name in write(document, tmp_path):
        if not name.startswith("test_"):
            run(tmp_path, "-c", f"import {name.removesuffix('.py')}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_in_a_document_passes(document: Path, tmp_path: Path) -> None:
    tests = [name for name in write(document, tmp_path) if name.startswith("test_")]
    for name in tests:
        run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", name)


@pytest.mark.parametrize(
    "document", sorted({*DOCUMENTS, *ROOT.glob("*.md")}), ids=lambda path: path.name
)
def test_every_link_in_a_document_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / link).exists(), f"{document.name}: {link}"


@pytest.mark.slow
def test_the_first_app_of_the_readme_greets_and_counts(tmp_path: Path) -> None:
    write(ROOT / "README.md", tmp_path)
    for number in (1, 2):
        with worker(tmp_path, "hello") as url:
            answer(f"{url}/ready")
            run(tmp_path, "-m", "faust", "-A", "hello", "send", "greetings", '{"who": "Ada"}')
            deadline = time.monotonic() + 60
            while answer(f"{url}/table/counts/Ada/") != str(number):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert f"Hello Ada, number {number}" in (tmp_path / "out.txt").read_text()


@pytest.mark.slow
def test_the_commands_of_the_newcomers_page_do_what_it_says(tmp_path: Path) -> None:
    write(ROOT / "docs" / "getting-started.md", tmp_path)
    order = '{"account": "ada", "amount": 3}'
    with worker(tmp_path, "shop") as url:
        answer(f"{url}/ready")
        run(tmp_path, "-m", "faust", "-A", "shop", "send", "orders", order, "--key", "ada")
        assert answer(f"{url}/table/totals/ada/") == "3"
        for command in ("agents", "topics", "settings"):
            assert run(tmp_path, "-m", "faust", "-A", "shop", command)
    assert "ada buys for 3" in (tmp_path / "out.txt").read_text()
