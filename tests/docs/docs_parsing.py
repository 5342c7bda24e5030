"""Blocks that cannot be run here are read by what would read them."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import tomllib
from collections.abc import Callable

import yaml

__all__ = ["PARSERS"]

_INSTRUCTION = re.compile(
    r"(FROM|RUN|COPY|ADD|WORKDIR|USER|ENV|EXPOSE|CMD|ENTRYPOINT|VOLUME|STOPSIGNAL|HEALTHCHECK) \S"
)


def _yaml(code: str) -> None:
    documents = list(yaml.safe_load_all(code))
    assert all(isinstance(each, dict) for each in documents), documents


def _ini(code: str) -> None:
    reader = configparser.RawConfigParser(strict=False)
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    reader.read_string(code)
    assert reader.sections()


def _dockerfile(code: str) -> None:
    lines = [line for line in code.replace("\\\n", " ").splitlines() if line.strip()]
    wrong = [line for line in lines if not line.startswith("#") and not _INSTRUCTION.match(line)]
    assert not wrong, wrong


def _shell(code: str) -> None:
    done = subprocess.run(["bash", "-n"], input=code, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


#: Language -> what raises where a block is not in it.
PARSERS: dict[str, Callable[[str], object]] = {
    "dockerfile": _dockerfile,
    "ini": _ini,
    "json": json.loads,
    "sh": _shell,
    "toml": tomllib.loads,
    "yaml": _yaml,
}
