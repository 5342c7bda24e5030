"""An app in somebody else's event loop: each framework is a real process, asked over HTTP."""

from __future__ import annotations

import asyncio
import urllib.error
from pathlib import Path
from typing import Any

import pytest
from embedding_support import IN_ORDER, UVICORN, serving

import faust
from faust.contrib.asgi import FaustLifespanMiddleware
from faust.transport.drivers.memory import forget_broker

FASTAPI = """
import asyncio
from contextlib import asynccontextmanager

from fastapi import FastAPI
from inside import add, app, totals


@asynccontextmanager
async def lifespan(web):
    async with app:
        yield


web = FastAPI(lifespan=lifespan)


@web.get("/add/{number}")
async def adding(number: int):
    return {"total": await add.ask(number), "loop": type(asyncio.get_running_loop()).__module__}


@web.get("/total")
async def total():
    return totals["all"]
"""

WITH_LIFESPAN = """
from faust.contrib.fastapi import faust_lifespan
from fastapi import FastAPI
from inside import add, app

web = FastAPI(lifespan=faust_lifespan(app))


@web.get("/add/{number}")
async def adding(number: int):
    return {"total": await add.ask(number)}


@web.get("/send/{number}")
async def sending(number: int):
    await add.send(value=number)
    return {}
"""

AIOHTTP = """
import os

from aiohttp import web
from inside import add, app


async def running(site):
    async with app:
        yield


async def adding(request):
    return web.json_response({"total": await add.ask(int(request.match_info["number"]))})


site = web.Application()
site.cleanup_ctx.append(running)
site.router.add_get("/add/{number}", adding)
web.run_app(site, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
"""

DJANGO = """
import django
from django.conf import settings

settings.configure(DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF="site_urls", SECRET_KEY="k")
django.setup()

from django.core.asgi import get_asgi_application
from faust.contrib.asgi import FaustLifespanMiddleware
from inside import app

application = FaustLifespanMiddleware(get_asgi_application(), app)
"""

DJANGO_URLS = """
from django.http import JsonResponse
from django.urls import path
from inside import add


async def adding(request, number):
    return JsonResponse({"total": await add.ask(number)})


urlpatterns = [path("add/<int:number>", adding)]
"""


SERVED = """
import os

from fastapi import FastAPI
from faust.contrib.fastapi import serve_asgi
from inside import add, app

web = FastAPI()
serve_asgi(app, web, host="127.0.0.1", port=int(os.environ["PORT"]))
app.conf.web_enabled = True


@web.get("/add/{number}")
async def adding(number: int):
    return {"total": await add.ask(number)}
"""


def test_fastapi_under_uvicorn_with_uvloop(tmp_path: Path) -> None:
    """Requests ask an agent and read its table; all is committed when the server stops."""
    for first in (0, 6):
        with serving(tmp_path, {"site_app.py": FASTAPI}, *UVICORN, "site_app:web") as site:
            answers = [site.ask(f"/add/{number}") for number in (1, 2, 3)]
            assert [answer["total"] for answer in answers] == [first + 1, first + 3, first + 6]
            assert answers[0]["loop"] == "uvloop"
            assert site.ask("/total") == first + 6
            assert site.stop() in IN_ORDER, site.process.told()


def test_the_lifespan_that_is_offered_runs_the_app(tmp_path: Path) -> None:
    with serving(tmp_path, {"site_app.py": WITH_LIFESPAN}, *UVICORN, "site_app:web") as site:
        assert site.ask("/add/5") == {"total": 5}
        assert site.stop() in IN_ORDER, site.process.told()


def test_a_worker_serves_the_application_in_the_place_of_its_pages(tmp_path: Path) -> None:
    """Its signals are the worker's, and so is the status."""
    worker = ("-m", "faust", "-A", "site_app:app", "worker")
    with serving(tmp_path, {"site_app.py": SERVED}, *worker) as site:
        assert [site.ask(f"/add/{number}")["total"] for number in (1, 2)] == [1, 3]
        with pytest.raises(urllib.error.HTTPError):
            site.ask("/health")
        assert f"{site.url}/" in site.process.told()
        assert site.stop() == 0, site.process.told()


def test_an_app_that_fails_ends_the_server_that_it_lives_in(tmp_path: Path) -> None:
    with serving(tmp_path, {"site_app.py": WITH_LIFESPAN}, *UVICORN, "site_app:web") as site:
        assert site.ask("/add/1") == {"total": 1}
        site.ask("/send/-1")
        assert site.process.end() != 0
        told = site.process.told()
        assert "this app cannot go on" in told
        assert "this process ends" in told


def test_aiohttp(tmp_path: Path) -> None:
    with serving(tmp_path, {"site_app.py": AIOHTTP}, "site_app.py") as site:
        assert [site.ask(f"/add/{number}")["total"] for number in (1, 2)] == [1, 3]
        assert site.stop() == 0, site.process.told()


def test_django_under_uvicorn(tmp_path: Path) -> None:
    files = {"site_app.py": DJANGO, "site_urls.py": DJANGO_URLS}
    with serving(tmp_path, files, *UVICORN, "site_app:application") as site:
        assert [site.ask(f"/add/{number}")["total"] for number in (1, 2)] == [1, 3]
        assert site.stop() in IN_ORDER, site.process.told()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_one_process_may_run_an_app_again_and_again(tmp_path: Path, loop: str) -> None:
    """Each time in a new event loop; what was counted before is there."""
    code = f"""
    import asyncio

    import uvloop
    from inside import add, app

    async def once():
        async with app:
            return await add.ask(2)

    run = {"uvloop.run" if loop == "uvloop" else "asyncio.run"}
    print(run(once()), run(once()), run(once()))
    """
    with serving(tmp_path, {"again.py": code}, "again.py") as site:
        assert site.process.end() == 0, site.process.told()
        assert site.process.out == ["2 4 6"]


def test_the_lifespan_of_the_application_inside_is_within_that_of_the_app(tmp_path: Path) -> None:
    """It starts when the app runs; that it has ended is told when the app has stopped, too."""
    app = faust.App("outer", broker="memory://lifespans", web_enabled=False, datadir=tmp_path)
    order: list[str] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            kind = (await receive())["type"]
            order.append(f"{kind} while {'running' if app.started else 'stopped'}")
            await send({"type": f"{kind}.complete"})

    async def main() -> None:
        messages = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> Any:
            return {"type": next(messages)}

        async def send(message: Any) -> None:
            stopped = app.should_stop
            order.append(f"told {message['type']} while {'stopped' if stopped else 'running'}")

        await FaustLifespanMiddleware(inner, app)({"type": "lifespan"}, receive, send)

    asyncio.run(main())
    forget_broker("lifespans")
    assert order == [
        "lifespan.startup while running",
        "told lifespan.startup.complete while running",
        "lifespan.shutdown while running",
        "told lifespan.shutdown.complete while stopped",
    ]
