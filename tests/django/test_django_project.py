"""A real Django project with two apps whose agents use its models."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from tests.cli.cli_support import Running, environment, run, started

FILES = {
    "manage.py": """
        import os
        import sys

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proj.settings")
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    """,
    "proj/__init__.py": "",
    "proj/settings.py": """
        from pathlib import Path

        BASE = Path(__file__).parent.parent
        SECRET_KEY = "k"
        USE_TZ = True
        DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
        INSTALLED_APPS = ["django.contrib.contenttypes", "faust.contrib.django", "shop", "mail"]
        SQLITE = "django.db.backends.sqlite3"
        DATABASES = {"default": {"ENGINE": SQLITE, "NAME": BASE / "db.sqlite3"}}
        FAUST_APP = "proj.streams"
    """,
    "proj/streams.py": """
        import os

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proj.settings")

        import faust

        app = faust.App("project", autodiscover=True, topic_partitions=1)
        orders = app.topic("orders", value_type=int, internal=True)
        letters = app.topic("letters", value_type=str, value_serializer="json", internal=True)
    """,
    "shop/__init__.py": "",
    "shop/models.py": """
        from django.db import models


        class Order(models.Model):
            number = models.IntegerField(unique=True)
    """,
    "shop/agents.py": """
        from asgiref.sync import sync_to_async
        from proj.streams import app, letters, orders
        from shop.models import Order


        @app.agent(orders)
        async def take(numbers):
            async for number in numbers:
                await sync_to_async(Order.objects.create)(number=number)
                await letters.send(value=f"order {number}")
    """,
    "mail/__init__.py": "",
    "mail/agents.py": """
        from proj.streams import app, letters
        from shop.models import Order


        @app.agent(letters)
        async def post(texts):
            async for text in texts:
                print(f"{text}: {await Order.objects.acount()} in all")
    """,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project, with its database made."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    made = run(tmp_path, "manage.py", "migrate", "--run-syncdb", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    return tmp_path


@contextmanager
def worker(project: Path, *command: str) -> Iterator[Running]:
    with started(project, *command, "worker", "-l", "info", cwd=project) as process:
        process.wait_for("Worker ready")
        yield process
        process.process.terminate()
        assert process.end() == 0, process.told()


def test_agents_of_all_apps_are_found_and_use_the_models(project: Path) -> None:
    """Started as ``faust -A`` and as ``manage.py faust``; what is in the database stays there."""
    starts = [("-m", "faust", "-A", "proj.streams"), ("manage.py", "faust")]
    for count, start in enumerate(starts, 1):
        with worker(project, *start) as process:
            sent = run(project, *start, "send", "orders", f"{count}0", cwd=project)
            assert sent.returncode == 0, sent.stderr
            process.wait_for(f"^order {count}0: {count} in all$")
    with closing(sqlite3.connect(project / "db.sqlite3")) as database:
        assert database.execute("select number from shop_order").fetchall() == [(10,), (20,)]


def test_commands_of_faust_know_the_project(project: Path) -> None:
    listed = run(project, "manage.py", "faust", "agents", cwd=project)
    assert listed.returncode == 0, listed.stderr
    assert "@shop.agents.take" in listed.stdout
    assert "@mail.agents.post" in listed.stdout
    call = "from django.core.management import call_command; call_command('faust', 'agents')"
    called = run(project, "manage.py", "shell", "-c", call, cwd=project)
    assert "@shop.agents.take" in called.stdout, called.stderr


def test_a_listing_for_programs_had_a_line_of_djangos_checks_in_it(project: Path) -> None:
    for start in (("-m", "faust", "-A", "proj.streams"), ("manage.py", "faust")):
        listed = run(project, *start, "--json", "agents", cwd=project)
        found = {each["name"] for each in json.loads(listed.stdout)}
        assert found == {"@shop.agents.take", "@mail.agents.post"}


def test_all_apps_are_scanned_without_an_origin_and_with_django_not_set_up(project: Path) -> None:
    """An app whose `discover` is called by a script; apps may be named by their configuration.

    Tests of the apps are left alone, and a list or False scans no app of Django.
    """
    settings = project / "proj" / "settings.py"
    settings.write_text(settings.read_text().replace('"mail"', '"mail.apps.MailConfig"'))
    (project / "mail" / "apps.py").write_text(
        "from django.apps import AppConfig\n\n\nclass MailConfig(AppConfig):\n    name = 'mail'\n"
    )
    for name in ("tests.py", "test_post.py", "conftest.py"):
        (project / "mail" / name).write_text("raise SystemExit('a test was imported')\n")
    (project / "look.py").write_text(
        dedent("""
        from proj.streams import app

        for wanted in (False, True, True):
            app.conf.autodiscover = wanted
            app.discover()
            print(app.conf.origin, *sorted(app.agents))
    """)
    )
    shown = run(project, "look.py", cwd=project)
    assert shown.stderr == ""
    found = "None mail.agents.post shop.agents.take"
    assert shown.stdout.splitlines() == ["None", found, found]


def test_without_an_app_it_says_how_to_name_one(project: Path) -> None:
    settings = project / "proj" / "settings.py"
    settings.write_text(settings.read_text().replace("FAUST_APP", "OTHER"))
    asked = run(project, "manage.py", "faust", "agents", cwd=project)
    assert asked.returncode == 2
    assert "FAUST_APP" in asked.stderr


def test_settings_without_django_are_said_to_be_that(tmp_path: Path) -> None:
    """`DJANGO_SETTINGS_MODULE` names what cannot be imported: one sentence, not a silent start."""
    (tmp_path / "plain.py").write_text("import faust\n\napp = faust.App('plain')\n")
    done = subprocess.run(
        [sys.executable, "-m", "faust", "-A", "plain", "agents"], cwd=tmp_path,
        env={**environment(tmp_path), "DJANGO_SETTINGS_MODULE": "nowhere.settings"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "nowhere" in done.stderr
