"""What a new project consists of."""

from __future__ import annotations

from string import Template

__all__ = ["files_of_project"]

_APP = '''"""Counts words."""

import faust

# The broker is a file in the data directory, shared by all workers on this machine; for Kafka, set
# FAUST_BROKER_URL=kafka://host:9092.
app = faust.App("$name", broker="sqlite://", store="memory://", topic_partitions=4)

# Lines are plain text, as `faust send` sends them; without a serializer they would be JSON.
lines = app.topic("$name-lines", value_type=str, value_serializer="raw", internal=True)
words = app.topic("$name-words", key_type=str, value_type=str, internal=True)
counts = app.Table("counts", key_type=str, value_type=int, default=int, help="How often it came")


@app.agent(lines)
async def split_lines(stream):
    """Send each word of a line on; its key decides which worker counts it."""
    async for line in stream:
        for word in line.lower().split():
            await count_words.send(word, key=word)


@app.agent(words)
async def count_words(stream):
    """Count words."""
    async for word in stream:
        counts[word] += 1
        print(f"{word}: {counts[word]}")
        yield counts[word]


@app.page("/count/{word}/")
@app.table_route(counts, match_info="word")
async def show_count(request, word):
    """Answer how often a word came, whichever worker knows."""
    return {"word": word, "count": counts[word] if word in counts else 0}


if __name__ == "__main__":
    app.main()
'''

_TEST = '''"""Run the agents on a broker inside the test; nothing leaves the process."""

import asyncio

from $name.app import count_words


def test_words_are_counted():
    async def count():
        async with count_words.test_context() as agent:
            return [await agent.ask(word, key=word) for word in ["a", "b", "a"]]

    assert asyncio.run(count()) == [1, 1, 2]
'''

_README = """# $name

Lines go to the topic `$name-lines`; each word goes on to `$name-words`, and is counted.

    faust -A $name.app worker -l info                      # run a worker
    faust -A $name.app send @split_lines 'to be or not'    # send it something
    curl http://localhost:6066/count/be/                   # ask it
    faust -A $name.app topics                              # what waits, and where
    faust -A $name.app worker --reload                     # while you write: restarts on changes
    faust -A $name.app worker --processes 2                # two workers that share the work
    python -m pytest                                       # the test

There is no server to install: the broker is a file in `$name-data`. With
`FAUST_BROKER_URL=kafka://host:9092` the same app runs on Kafka.
"""

_PYPROJECT = """[project]
name = "$name"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["faust>=2.0.0.dev0"]

[project.optional-dependencies]
test = ["pytest"]

[tool.setuptools]
packages = ["$name"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
"""

_FILES = {
    "$name/__init__.py": '"""Counts words."""\n',
    "$name/app.py": _APP,
    "tests/test_app.py": _TEST,
    "README.md": _README,
    "pyproject.toml": _PYPROJECT,
    ".gitignore": "$name-data/\n__pycache__/\n.venv/\n",
}


def files_of_project(name: str) -> dict[str, str]:
    """Return paths, relative to the project, and what they contain."""
    return {
        Template(path).substitute(name=name): Template(text).substitute(name=name)
        for path, text in _FILES.items()
    }
