"""The names of `faust.types` are the classes themselves."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import faust
import faust.types


def test_a_public_type_is_the_class_itself() -> None:
    assert faust.types.AppT is faust.App
    assert faust.types.StreamT is faust.Stream
    assert faust.types.AgentT is faust.Agent
    assert faust.types.tables.TableT is faust.Table
    assert isinstance(faust.App("x", broker="memory://never"), faust.types.AppT)


@pytest.mark.parametrize("name", faust.types.__all__)
def test_every_name_is_found_in_the_package_and_in_its_module(name: str) -> None:
    home = import_module(f"faust.types.{faust.types._HOMES[name]}")
    assert getattr(faust.types, name) is getattr(home, name)
    assert name in dir(faust.types)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'Nonsense'"):
        faust.types.Nonsense  # noqa: B018


def test_importing_the_types_imports_nothing_heavy() -> None:
    script = (
        "import sys, faust, faust.types\n"
        "heavy = {'aiohttp', 'aiokafka', 'rocksdict', 'msgspec', 'click'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from faust.types.tuples import TP\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=100)
