"""What an app says that may not do what it needs: a real broker with an authorizer.

Each user lacks one right.  An app that misses something must not wait for what never comes: it
ends with one sentence that names what it may not do, and what is to be granted.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import faust
from faust.auth import SASLCredentials
from faust.exceptions import FaustError
from tests.kafka.driver_support import run, unique
from tests.support.kafka_fixture import require_kafka
from tools.kafka import KafkaNode
from tools.kafka.jars import java, kafka_libs
from tools.kafka.node import Membership as Place
from tools.kafka.probe import free_ports

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SECRET = "faust-secret"
USERS = ("all", "no-transactions", "no-creation", "no-group", "no-writing")
#: What is granted -> operations, on what, and who alone goes without.
GRANTS = (
    (("Describe", "DescribeConfigs", "Read"), ("--topic", "*"), None),
    (("Create", "Alter", "AlterConfigs"), ("--topic", "*", "--cluster"), "no-creation"),
    (("Write",), ("--topic", "*"), "no-writing"),
    (("Read", "Describe"), ("--group", "*"), "no-group"),
    (("Write", "Describe"), ("--transactional-id", "*"), "no-transactions"),
)


class GuardedNode:
    """A node that asks for passwords, and lets each user do what was granted only."""

    def __init__(self) -> None:
        inner, self.port, controller = free_ports(3)
        listeners = f"PLAINTEXT://127.0.0.1:{inner},GUARDED://127.0.0.1:{self.port}"
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required " + " ".join(
            f'user_{user}="{SECRET}"' for user in USERS
        )
        self.node = KafkaNode(
            membership=Place(1, {1: controller}, inner),
            extra_properties={
                "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": listeners,
                "inter.broker.listener.name": "PLAINTEXT",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
                "GUARDED:SASL_PLAINTEXT",
                "listener.name.guarded.sasl.enabled.mechanisms": "PLAIN",
                "listener.name.guarded.plain.sasl.jaas.config": f"{login};",
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
                "auto.create.topics.enable": "false",
            },
        )

    def grant(self) -> None:
        """Give everybody what they are to have, with Kafka's own tool."""
        for operations, resources, without in GRANTS:
            subprocess.run(
                [
                    *(java(), "-cp", f"{kafka_libs()}/*", "org.apache.kafka.tools.AclCommand"),
                    *("--bootstrap-server", self.node.bootstrap, "--add"),
                    *(f"--allow-principal=User:{user}" for user in USERS if user != without),
                    *(f"--operation={operation}" for operation in operations),
                    *resources,
                ],
                check=True, capture_output=True, timeout=150,
            )  # fmt: skip


@pytest.fixture(scope="module")
def guarded() -> Iterator[GuardedNode]:
    require_kafka()
    setup = GuardedNode()
    with setup.node:
        setup.grant()
        yield setup


def app_of(guarded: GuardedNode, user: str, folder: Path, **settings: Any) -> faust.App:
    """Return an app that counts, and sends on what it has counted."""
    app = faust.App(
        unique("rights"),
        broker=f"kafka://127.0.0.1:{guarded.port}",
        broker_credentials=SASLCredentials(username=user, password=SECRET),
        datadir=str(folder),
        web_enabled=False,
        broker_commit_interval=0.1,
        **settings,
    )
    app.seen = []  # type: ignore[attr-defined]
    source = app.topic(f"{app.conf.id}-source", partitions=1, internal=True, value_type=int)
    counts = app.Table("counts", default=int, partitions=1)

    @app.agent(source)
    async def count(numbers: Any) -> None:
        async for number in numbers:
            counts["all"] += number
            app.seen.append(counts["all"])  # type: ignore[attr-defined]

    return app


async def use(app: faust.App) -> None:
    """Start it, and let it count one event."""
    async with app:
        await app.topic(f"{app.conf.id}-source", value_type=int).send(value=1)
        async with asyncio.timeout(80):
            while not app.seen:  # type: ignore[attr-defined]
                await asyncio.sleep(0.05)
                if app.failed.is_set():
                    return


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_who_has_all_rights_that_are_documented_can_work(
    guarded: GuardedNode, tmp_path: Path, guarantee: str
) -> None:
    app = app_of(guarded, "all", tmp_path, processing_guarantee=guarantee)
    run(use(app))
    assert app.seen == [1]  # type: ignore[attr-defined]


def test_at_least_once_needs_no_right_to_transactional_ids(
    guarded: GuardedNode, tmp_path: Path
) -> None:
    app = app_of(guarded, "no-transactions", tmp_path)
    run(use(app))
    assert app.seen == [1]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("user", "guarantee", "says"),
    [
        ("no-transactions", "exactly_once", ["Write and Describe on this transactional id"]),
        ("no-creation", "at_least_once", ["-source'", "-counts-changelog'", "kafka-topics.sh"]),
        ("no-group", "at_least_once", ["the operation Read"]),
        ("no-writing", "at_least_once", ["-source'", "the operation Write"]),
        ("no-writing", "exactly_once", ["-source'", "the operation Write"]),
    ],
)
def test_a_right_that_is_missing_ends_the_app_and_is_named(
    guarded: GuardedNode, tmp_path: Path, user: str, guarantee: str, says: list[str]
) -> None:
    app = app_of(guarded, user, tmp_path, processing_guarantee=guarantee)
    with pytest.raises(FaustError) as caught:
        run(use(app))
    assert not [words for words in says if words not in str(caught.value)], caught.value
