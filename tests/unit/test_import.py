"""What importing an app's module loads: little, because every command and test pays for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

APP = """
import sys
import faust

app = faust.App('light', broker='kafka://nowhere', store='rocksdb://')

class Order(faust.Record):
    id: int

orders = app.topic('orders', value_type=Order)
counts = app.Table('counts', default=int)

@app.agent(orders)
async def count(stream):
    async for order in stream:
        counts[order.id] += 1

@app.timer(1.0)
async def tick(): ...

@app.command()
async def own(): ...

print(' '.join(sorted(sys.modules)))
"""

HEAVY = ("aiohttp", "aiokafka", "click", "prometheus_client", "rich", "rocksdict", "sqlite3",
         "uvloop")  # fmt: skip


def loaded_by(code: str) -> set[str]:
    root = str(Path(__file__).parents[2])
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return set(shown.stdout.split())


def test_a_module_with_an_app_loads_nothing_heavy() -> None:
    loaded = loaded_by(APP)
    assert not [name for name in HEAVY if name in loaded]
    assert not [
        name for name in loaded if name.startswith(("faust.transport.drivers", "faust.worker"))
    ]


def test_importing_faust_loads_none_of_its_parts() -> None:
    loaded = loaded_by("import sys\nimport faust\nprint(' '.join(sys.modules))")
    assert [name for name in loaded if name.startswith("faust")] == ["faust"]
    assert "asyncio" not in loaded
