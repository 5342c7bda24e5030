"""Completion in the real shells, where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_support import ROOT, invoke

APP = """
import faust
import faust.cli
print('printed while it is imported')
app = faust.App('completed')

class Order(faust.Record, namespace='completion_app.Order'):
    id: int

@app.agent(app.topic('orders'))
async def fill(stream): ...

@app.agent()
async def find(stream): ...

@app.command()
async def greet_all():
    '''Greet everybody.'''
"""
BASH = """
source <("$FAUST" completion bash)
complete -p faust
ask() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _faust_completion faust
         echo "${{COMPREPLY[@]}}"; }}
{asked}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with an app, and a program `faust` that is found."""
    (tmp_path / "completion_app.py").write_text(APP)
    (tmp_path / "completion_broken.py").write_text("1 / 0\n")
    program = tmp_path / "bin" / "faust"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m faust "$@"\n')
    program.chmod(0o755)
    return tmp_path


def shell(folder: Path, *command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FAUST", "F_"))}
    done = subprocess.run(
        command, cwd=folder, text=True, capture_output=True, timeout=90, check=False,
        env={
            **kept, "PYTHONPATH": str(ROOT), "FAUST": str(folder / "bin" / "faust"),
            "PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder), "TERM": "dumb",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_bash_completes_commands_options_agents_topics_and_models(folder: Path) -> None:
    """(pitfalls C58)"""
    asked = {
        "faust wor": "worker",
        "faust -A completion_app gr": "greet-all",
        "faust -A completion_broken wor": "worker",
        "faust worker --rel": "--reload",
        "faust -l in": "info",
        "faust -A completion_app send @": "@fill @find",
        "faust -A completion_app send ord": "orders",
        "faust -A completion_app model Or": "Order",
        "faust completion z": "zsh",
    }
    lines = "\n".join(f"ask {words}" for words in asked)
    registered, *answers = shell(folder, "bash", "-c", BASH.format(asked=lines)).splitlines()
    assert registered.endswith("_faust_completion faust")
    assert dict(zip(asked, answers, strict=True)) == asked


def test_zsh_completes_commands(folder: Path) -> None:
    script = """
    autoload -Uz compinit && compinit -u
    source <("$FAUST" completion zsh)
    compadd() { print -l -- "${(P)${@[-1]}[@]}" ; }
    _describe() { print -l -- "${(P@)3}" "${(P@)2}"; }
    words=(faust -A completion_app gre); CURRENT=4
    _faust_completion
    """
    assert "greet-all:Greet everybody." in shell(folder, "zsh", "-f", "-c", script)


def test_fish_completes_commands(folder: Path) -> None:
    script = """
    "$FAUST" completion fish | source
    complete -C "faust -A completion_app gre"
    """
    shown = shell(folder, "fish", "--no-config", "-c", script)
    assert shown == "greet-all\tGreet everybody.\n"


def test_the_shell_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert invoke("completion") == invoke("completion", "fish")
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    ended = invoke("completion")
    assert (ended.status, ended.out) == (2, "")
    assert "'tcsh' is none of bash, zsh, fish" in ended.err
    monkeypatch.delenv("SHELL")
    assert "which shell? There are bash, zsh, fish" in invoke("completion").err
