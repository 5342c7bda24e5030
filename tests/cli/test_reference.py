"""The reference of commands is made from the commands."""

from __future__ import annotations

from cli_support import ROOT

from faust.cli.reference import reference

PAGE = ROOT / "docs" / "reference" / "commands.md"


def test_the_page_of_commands_is_up_to_date() -> None:
    again = f"python -m faust.cli.reference > {PAGE.relative_to(ROOT)}"
    assert PAGE.read_text(encoding="utf-8") == reference() + "\n", f"make it again: {again}"


def test_every_command_and_option_is_in_it() -> None:
    from faust.cli.base import params_of
    from faust.cli.faust import COMMANDS, built_in
    from faust.cli.options import group_options

    page = PAGE.read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"## `{name}`" in page
        for param in params_of(built_in(name)):
            assert all(f"`{o}`" in page for o in param.opts if o.startswith("-")), (name, param)
    for param in group_options():
        assert all(f"`{o}`" in page for o in param.opts), param
