"""The program itself: which app, which options count, which command, what it says without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from cli_support import ROOT, invoke

import faust

APP = """
import faust
import faust.cli

app = faust.App('{name}', web_enabled=False)
other = faust.App('{name}-other', web_enabled=False)
no_app = 3

@app.agent()
async def double(stream):
    '''Double it.'''
    async for value in stream:
        pass

@other.agent()
async def triple(stream):
    async for value in stream:
        pass

@app.command()
async def greet_all():
    '''Greet everybody.'''
    print('hello')

@app.command(faust.cli.argument('setting'))
@other.command(faust.cli.argument('setting'))
async def show(self, setting):
    print(getattr(self.app.conf, setting))
"""
VARIABLES = (
    "FAUST_APP", "FAUST_DATADIR", "F_DATADIR", "FAUST_WORKDIR", "F_WORKDIR", "FAUST_DEBUG",
    "F_DEBUG", "FAUST_LOOP", "F_LOOP",
)  # fmt: skip
_count = iter(range(1_000))


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory, an import path and an environment of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in VARIABLES:
        monkeypatch.setenv(name, "x")  # so that it is restored, whatever is set here
        monkeypatch.delenv(name)


@pytest.fixture
def name(tmp_path: Path) -> str:
    """Name of a module that is nowhere else."""
    made = f"program_app_{next(_count)}"
    package = tmp_path / f"{made}_pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for place in (tmp_path / f"{made}.py", package / "mod.py"):
        place.write_text(APP.format(name=made))
    return made


def agents(*where: str) -> list[str]:
    ended = invoke(*where, "--json", "agents")
    assert ended.status == 0, ended.err
    return [row["name"] for row in json.loads(ended.out)]


# -- which app -----------------------------------------------------------------------------------


def test_an_app_is_named_as_module_attribute_or_file(name: str, tmp_path: Path) -> None:
    pkg = f"{name}_pkg"
    for where in (name, f"{name}:app", f"{name}.app", f"{name}.py", f"./{name}.py:app",
                  str(tmp_path / f"{name}.py"), f"{pkg}.mod", f"{pkg}.mod:app", f"{pkg}.mod.app",
                  f"{pkg}/mod.py"):  # fmt: skip
        assert agents("-A", where) == ["@double"], where
    for where in (f"{name}:other", f"{name}.other", f"{name}.py:other", f"{pkg}.mod.other"):
        assert agents("--app", where) == ["@triple"], where


def test_the_variable_names_an_app_and_the_option_comes_first(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAUST_APP", f"{name}:other")
    assert agents() == ["@triple"]
    assert agents("-A", name) == ["@double"]


def test_several_apps_and_none_called_app_is_an_error_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "program_two.py").write_text(
        "import faust\nb = faust.App('b')\na = faust.App('a')\n"
    )
    ended = invoke("-A", "program_two", "agents")
    assert ended.status == 2
    assert "has several apps: say -A program_two:a, -A program_two:b" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_the_only_app_of_a_module_needs_no_name(tmp_path: Path) -> None:
    (tmp_path / "program_one.py").write_text("import faust\nmine = faust.App('mine')\n")
    assert agents("-A", "program_one") == []
    (tmp_path / "program_not.py").write_text("app = 3\n")
    assert "it has no app at all" in invoke("-A", "program_not", "agents").err


def test_an_app_that_raises_points_at_the_line_of_its_author(tmp_path: Path) -> None:
    (tmp_path / "program_bad.py").write_text(
        "import json\n\n\ndef f():\n    json.loads('{')\n\nf()\n"
    )
    ended = invoke("-A", "program_bad", "agents")
    assert ended.status == 2
    assert "JSONDecodeError" in ended.err
    assert "(program_bad.py, line 5)" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_help_with_an_app_that_cannot_be_imported_says_so(tmp_path: Path) -> None:
    (tmp_path / "program_gone.py").write_text("import not_there_at_all\n")
    ended = invoke("-A", "program_gone", "--help")
    assert (ended.status, ended.out) == (2, "")
    assert "No module named 'not_there_at_all' (program_gone.py, line 1)" in ended.err


# -- options -------------------------------------------------------------------------------------


def test_the_working_directory_is_changed_before_the_app_is_imported(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    sys.path.remove(str(tmp_path))
    assert invoke("-A", name, "agents").status == 2
    for option in (["-W", str(tmp_path)], ["--workdir", str(tmp_path)], ["--workdir=.."]):
        monkeypatch.chdir(elsewhere)
        assert agents(*option, "-A", name) == ["@double"]
        assert Path.cwd() == tmp_path
        assert os.environ["F_WORKDIR"] == option[-1].rpartition("=")[2]
        monkeypatch.delenv("F_WORKDIR")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("FAUST_WORKDIR", str(tmp_path))
    assert agents("-A", name) == ["@double"]


@pytest.mark.parametrize("option", [["-D", "here"], ["--datadir", "here"], ["--datadir=here"]])
def test_the_data_directory_is_what_either_option_says(
    option: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(pitfalls B6)"""
    app = faust.App("datadirs", web_enabled=False)
    monkeypatch.setenv("FAUST_DATADIR", "from-the-environment")
    (tmp_path / "here" / "v3").mkdir(parents=True)
    app.conf.version = 5
    ended = invoke(*option, "clean-versions", app=app)
    assert ended == (0, "Removing old version directory here/v3...\n", "")
    assert not (tmp_path / "here" / "v3").exists()


def test_the_data_directory_may_be_a_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAUST_DATADIR", "variable")
    assert invoke("-A", name, "show", "datadir").out == "variable\n"
    assert invoke("-A", name, "-D", "option", "show", "datadir").out == "option\n"


def test_debug_turns_on_the_setting_of_that_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(pitfalls B7)"""
    assert invoke("-A", name, "show", "debug").out == "False\n"
    assert invoke("--debug", "-A", f"{name}:other", "show", "debug").out == "True\n"
    monkeypatch.setenv("FAUST_DEBUG", "1")
    assert invoke("-A", f"{name}_pkg.mod", "show", "debug").out == "True\n"


def test_debug_in_the_environment_may_be_0(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """(pitfalls C66)"""
    monkeypatch.setenv("FAUST_DEBUG", "0")
    assert invoke("-A", name, "show", "debug").out == "False\n"


def test_quiet_prints_nothing_at_all(name: str) -> None:
    assert invoke("-q", "-A", name, "agents") == (0, "", "")
    assert invoke("-q", "--no-quiet", "-A", name, "agents").out != ""


@pytest.mark.parametrize("level", ["CRIT", "Warn", "info", "DEBUG", "error"])
def test_the_level_of_the_log_may_be_written_in_any_case(name: str, level: str) -> None:
    assert invoke("-A", name, "-l", level, "agents").status == 0


def test_the_log_of_a_command_goes_to_a_file(tmp_path: Path) -> None:
    app = faust.App("logs", web_enabled=False)

    @app.command()
    async def warns() -> None:
        import logging

        logging.getLogger("mine").info("not shown")
        logging.getLogger("mine").warning("shown")

    assert invoke("warns", app=app).err == "WARNING: shown\n"
    assert invoke("-l", "error", "warns", app=app).err == ""
    assert invoke("-f", "own.log", "-l", "info", "warns", app=app).err == ""
    assert (tmp_path / "own.log").read_text() == "INFO: not shown\nWARNING: shown\n"


def test_a_loop_that_is_not_installed_is_one_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    ended = invoke("-L", "uvloop", "-A", name, "agents")
    assert ended.status == 2
    assert ended.err == (
        "faust: the event loop uvloop is not installed: pip install 'faust[uvloop]', or leave out "
        "-L\n"
    ).replace("faust:", f"{program()}:", 1)


def test_commands_run_in_the_loop_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvloop")
    app = faust.App("loops", web_enabled=False)

    @app.command()
    async def which() -> None:
        import asyncio

        print(type(asyncio.get_running_loop()).__module__)

    assert invoke("-L", "uvloop", "which", app=app).out == "uvloop\n"
    assert "asyncio" in invoke("-L", "aio", "which", app=app).out
    monkeypatch.setenv("F_LOOP", "uvloop")
    assert invoke("which", app=app).out == "uvloop\n"
    assert "'eventlet' is not one of 'aio', 'uvloop'" in invoke("-L", "eventlet", "which").err


def program() -> str:
    """Return what the program calls itself in this process."""
    name = os.path.basename(sys.argv[0])
    return "faust" if name in ("__main__.py", "-c", "-m") else name


def test_the_version_is_printed() -> None:
    assert invoke("--version") == (0, f"{program()}, version Faust {faust.__version__}\n", "")


# -- commands ------------------------------------------------------------------------------------


def test_without_arguments_there_is_help_and_status_2(name: str) -> None:
    ended = invoke()
    assert (ended.status, ended.out) == (2, "")
    assert "Usage:" in ended.err
    assert "\n  worker " in ended.err
    alone = invoke(app=import_module(name).app)
    assert "\n  greet-all  Greet everybody." in alone.err


def test_help_lists_the_apps_own_commands_under_their_own_heading(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = invoke("-A", name, "--help")
    assert ended.status == 0
    built_in, own = ended.out.split(f"Commands of {name}:")
    assert "greet-all" not in built_in
    assert own.split("\n")[1:3] == ["  greet-all  Greet everybody.", "  show"]
    assert invoke("--help", "-A", name).out == ended.out
    monkeypatch.setenv("FAUST_APP", name)
    assert invoke("--help").out == ended.out
    monkeypatch.delenv("FAUST_APP")
    assert "Commands of" not in invoke("--help").out


def test_no_line_of_the_list_of_commands_is_cut_short() -> None:
    assert "..." not in invoke("--help").out.partition("Commands:")[2]


def test_underscores_are_as_good_as_hyphens(name: str) -> None:
    """(pitfalls D, cli: `faust clean_versions`)"""
    assert invoke("-A", name, "clean_versions") == (0, "", "")
    assert invoke("-A", name, "clean-versions") == (0, "", "")
    assert invoke("-A", name, "greet_all").out == "hello\n"
    assert invoke("-A", name, "greet-all").out == "hello\n"


def test_an_unknown_command_is_answered_by_what_was_meant(name: str) -> None:
    assert "there is no command 'tabels'; did you mean 'tables'?" in invoke("tabels").err
    ended = invoke("-A", name, "greet")
    assert (ended.status, ended.out) == (2, "")
    assert "did you mean 'greet-all'?" in ended.err
    assert "there are agents, check-migration, clean-versions" in invoke("-A", name, "xyz").err
    assert "an app's own commands need -A" in invoke("xyz").err


def test_livecheck_is_said_not_to_be_there(name: str) -> None:
    ended = invoke("-A", name, "livecheck")
    assert ended.status == 2
    assert "there is no command 'livecheck'; LiveCheck is not there in this version" in ended.err


def test_completion_and_new_need_no_app() -> None:
    """(pitfalls C58)"""
    assert invoke("completion", "bash").status == 0
    assert invoke("--json", "agents").status == 2


def test_commands_are_attributes_of_the_program_as_they_were() -> None:
    program = import_module("faust.cli.faust")
    for command in ("agents", "clean_versions", "completion", "model", "models", "reset", "send",
                    "tables", "worker"):  # fmt: skip
        assert issubclass(getattr(program, command), faust.cli.Command)
    assert program.call_command is faust.cli.call_command
    with pytest.raises(AttributeError):
        _ = program.nothing


def test_call_command_needs_no_other_import(name: str, tmp_path: Path) -> None:
    """(pitfalls C64)"""
    code = (
        f"import {name}\nfrom faust.cli.base import call_command\n"
        f"print(call_command('agents', ['--local'], app={name}.app)[:1])\n"
        "status, out, err = call_command('tables', side_effects=True)\nprint(status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}, timeout=90, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "(0,)\n2\n")
    assert "which app?" in done.stderr


def test_on_worker_init_is_sent_once_for_each_start(name: str) -> None:
    """(pitfalls C60)"""
    seen: list[str] = []
    app = import_module(name).app
    app.on_worker_init.connect(lambda app, **kwargs: seen.append(app.conf.id), weak=False)
    assert invoke("-A", name, "agents").status == 0
    assert invoke("--help", app=import_module(f"{name}_pkg.mod").app).status == 0
    assert seen == [name]


def test_the_classes_of_commands_are_public_names() -> None:
    """(pitfalls A17)"""
    assert faust.AppCommand is faust.cli.AppCommand
    assert faust.Command is faust.cli.Command
    assert {"AppCommand", "Command", "Model"} <= set(faust.__all__)
