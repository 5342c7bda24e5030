"""Ask a real Kafka what it answers in the suite's scenarios, with clients that are not ours.

    python -m tools.record_kafka_answers

writes ``faust/testing/conformance/answers/*.json`` and ``tests/unit/partitioner_vectors.json``.
The scenarios are `faust.testing.conformance.scenarios`; the clients are aiokafka's own producer,
consumer, admin client and raw requests (and one of ours that it lacks: TxnOffsetCommit with a
member), and Kafka's Java client for the hash of its default partitioner.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import BrokerResponseError, GroupCoordinatorNotAvailableError, for_code
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
)
from aiokafka.protocol.transaction import AddOffsetsToTxnRequest, EndTxnRequest

from faust.testing.conformance.cleaning import COMPACT
from faust.testing.conformance.scenarios import (
    ABORTS,
    BASE_MS,
    COMPACTED,
    DELETIONS,
    ERRORS,
    TIME_QUERIES,
    TIMES,
    TRANSACTIONAL_OFFSETS,
)
from faust.transport.drivers.aiokafka.transaction_requests import TxnOffsetCommitRequest
from tools.kafka import KafkaNode
from tools.kafka.jars import java, kafka_libs

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = ROOT / "faust" / "testing" / "conformance" / "answers"
VECTORS = ROOT / "tests" / "unit" / "partitioner_vectors.json"

#: So that the log cleaner and the look at retention do not take half a minute to come round.
PROPERTIES = {
    "log.cleaner.backoff.ms": "200",
    "log.retention.check.interval.ms": "500",
    "log.initial.task.delay.ms": "500",
}
FOR_EVER = {"retention.ms": "-1"}
SESSION_MS = 30_000

MURMUR = """
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.apache.kafka.common.utils.Utils;

public class Murmur {
    public static void main(String[] args) {
        StringBuilder out = new StringBuilder("[");
        java.util.Random random = new java.util.Random(42);
        for (int n = 0; n < 300; n++) {
            byte[] key = new byte[n < 100 ? n / 3 : random.nextInt(80)];
            random.nextBytes(key);
            if (n % 5 == 0) key = ("key-" + n).getBytes(StandardCharsets.UTF_8);
            int hash = Utils.murmur2(key);
            out.append(n == 0 ? "" : ",").append("[\\"")
               .append(Base64.getEncoder().encodeToString(key)).append("\\",").append(hash)
               .append(",").append(Utils.toPositive(hash) % 7).append(",")
               .append(Utils.toPositive(hash) % 1000).append("]");
        }
        System.out.println(out.append("]"));
    }
}
"""


class Recorder:
    """One run against one node."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        self.number = 0
        self.opened = [self.admin]

    async def record(self) -> None:
        """Record every scenario."""
        await self.admin.start()
        try:
            for name in (
                "offsets_by_time",
                "delete_records",
                "compaction",
                "transactions",
                "rounds",
                "errors",
                "transactional_offsets",
            ):
                scenario: Callable[[], Awaitable[Any]] = getattr(self, name)
                write(name, await scenario())
        finally:
            for admin in self.opened:
                await admin.close()

    # -- words ----------------------------------------------------------------------------

    async def topic(self, config: dict[str, str] | None = None, partitions: int = 1) -> str:
        self.number += 1
        name = f"recorded-{self.number}"
        code = await self.create(name, partitions, config or {})
        assert code == "NoError", code
        return name

    async def create(self, name: str, partitions: int, config: dict[str, str]) -> str:
        topic = NewTopic(name, partitions, 1, topic_configs=config)
        response: Any = await self.admin.create_topics([topic])
        return error_name(response.topic_errors[0][1])

    async def append(
        self, topic: str, batches: list[list[tuple[bytes | None, bytes | None, int]]]
    ) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            for records in batches:
                builder = producer.create_batch()
                for key, value, timestamp in records:
                    builder.append(key=key, value=value, timestamp=timestamp)
                await (await producer.send_batch(builder, topic, partition=0))

    def consumer(self, **options: Any) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, auto_offset_reset="none", **options
        )

    async def read(self, topic: str, **options: Any) -> list[Any]:
        tp = TopicPartition(topic, 0)
        async with self.consumer(**options) as consumer:
            consumer.assign([tp])
            first, _ = await self.range(topic)
            consumer.seek(tp, first)
            found: list[Any] = []
            empty = 0
            while empty < 3:
                answer = await consumer.getmany(tp, timeout_ms=400)
                records = answer.get(tp, [])
                found.extend(records)
                empty = 0 if records else empty + 1
            return found

    async def range(self, topic: str) -> tuple[int, int]:
        tp = TopicPartition(topic, 0)
        async with self.consumer() as consumer:
            first = (await consumer.beginning_offsets([tp]))[tp]
            end = (await consumer.end_offsets([tp]))[tp]
            return first, end

    # -- logs -------------------------------------------------------------------------------

    async def offsets_by_time(self) -> dict[str, Any]:
        topic = await self.topic(FOR_EVER)
        await self.append(topic, [[(b"k", b"v", BASE_MS + t) for t in times] for times in TIMES])
        tp = TopicPartition(topic, 0)
        _, end = await self.range(topic)
        found = []
        async with self.consumer() as consumer:
            for query in TIME_QUERIES:
                answer = (await consumer.offsets_for_times({tp: BASE_MS + query}))[tp]
                # Our port says "the end" where Kafka says that there is none.
                found.append(end if answer is None else answer.offset)
        return {"at": found, "end": end}

    async def delete_records(self) -> list[dict[str, Any]]:
        topic = await self.topic(FOR_EVER)
        await self.append(topic, [[(b"k", b"v", BASE_MS)] * 3] * 3)
        found = []
        for before in DELETIONS:
            answer: object
            try:
                deleted = await self.admin.delete_records(
                    {TopicPartition(topic, 0): RecordsToDelete(before)}
                )
                answer = deleted[TopicPartition(topic, 0)]
            except BrokerResponseError as error:
                answer = type(error).__name__
            first, end = await self.range(topic)
            found.append({"before": before, "answer": answer, "first": first, "end": end})
        return found

    async def compaction(self) -> dict[str, Any]:
        topic = await self.topic(COMPACT)
        start = int(time.time() * 1000) - 60_000
        batches = [
            [(encoded(key), encoded(value), start + 1000 * number) for key, value in records]
            for number, records in enumerate(COMPACTED)
        ]
        await self.append(topic, batches)
        kept = await self.read(topic)
        for _ in range(60):
            await asyncio.sleep(1.0)
            before, kept = kept, await self.read(topic)
            if len(kept) == len(before) < sum(map(len, COMPACTED)):
                break
        first, end = await self.range(topic)
        return {
            "kept": [[r.offset, decoded(r.key), decoded(r.value)] for r in kept],
            "last": end - 1,
            "first": first,
            "end": end,
        }

    async def transactions(self) -> dict[str, Any]:
        topic = await self.topic(FOR_EVER)
        open_ones: list[AIOKafkaProducer] = []
        for number, (kind, size) in enumerate(ABORTS):
            if kind == "plain":
                await self.append(topic, [[(b"k", b"plain", BASE_MS)] * size])
                continue
            producer = AIOKafkaProducer(
                bootstrap_servers=self.bootstrap, transactional_id=f"recorded-{number}"
            )
            await producer.start()
            await producer.begin_transaction()
            for _ in range(size):
                await producer.send_and_wait(topic, kind.encode(), b"k", 0, BASE_MS)
            if kind == "open":
                open_ones.append(producer)
                continue
            await (
                producer.commit_transaction() if kind == "commit" else producer.abort_transaction()
            )
            await producer.stop()
        committed = await self.read(topic, isolation_level="read_committed")
        uncommitted = await self.read(topic)
        _, end = await self.range(topic)
        stable = next(r.offset for r in uncommitted if r.value == b"open")
        for producer in open_ones:
            await producer.abort_transaction()
            await producer.stop()
        return {
            "committed": [r.offset for r in committed],
            "uncommitted": [r.offset for r in uncommitted],
            "stable": stable,
            "end": end,
        }

    # -- groups -----------------------------------------------------------------------------

    async def member(self, group: str, **options: Any) -> RawMember:
        while True:
            try:
                coordinator = await self.admin.find_coordinator(group)
                break
            except GroupCoordinatorNotAvailableError:  # its topic is being created
                await asyncio.sleep(0.2)
        # A connection for each: a broker answers a connection's requests one after another.
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        self.opened.append(admin)
        return RawMember(admin, coordinator, group, **options)

    async def rounds(self) -> list[dict[str, Any]]:
        """Tell of a group's rounds: who leads, how many there are, which generation."""
        a, b, c = [await self.member("recorded-rounds") for _ in range(3)]
        story = []

        async def tell(what: str, *members: RawMember) -> None:
            joining = []
            for member in members:
                joining.append(asyncio.create_task(member.join()))
                await asyncio.sleep(0.3)
            joined = await asyncio.gather(*joining)
            generations = {response.generation_id for response in joined}
            leaders = {response.leader_id for response in joined}
            names = {member.member_id: name for name, member in zip("abc", (a, b, c), strict=True)}
            told = [len(response.members) for response in joined if response.members]
            assert len(generations) == len(leaders) == 1
            await asyncio.gather(*(member.sync() for member in members))
            story.append(
                {
                    "what": what,
                    "generation": generations.pop(),
                    "leader": names[leaders.pop()],
                    "members": told,
                }
            )

        await tell("a joins", a)
        await tell("b joins, a joins again", b, a)
        await tell("c joins, the others join again", c, b, a)
        await a.leave()
        await tell("a, which led, leaves; the others join again", b, c)
        await tell("b, which leads, joins again; c too", b, c)
        await b.leave()
        await c.leave()
        a.member_id = ""
        await tell("all leave; a joins", a)
        return story

    async def errors(self) -> dict[str, str]:
        wrong = Wrong(self, await self.topic(partitions=2))
        await self.append(wrong.topic, [[(b"k", b"v", BASE_MS)]])
        found = {}
        for what in ERRORS:
            use: Callable[[], Awaitable[str]] = getattr(wrong, what.replace(" ", "_"))
            try:
                found[what] = await use()
            except BrokerResponseError as error:
                found[what] = type(error).__name__
        return found

    async def transactional_offsets(self) -> dict[str, str]:
        use = Offsets(self, await self.topic())
        found = {}
        for what in TRANSACTIONAL_OFFSETS:
            attempt: Callable[[], Awaitable[str]] = getattr(use, what.replace(" ", "_"))
            found[what] = await attempt()
        return found


class RawMember:
    """A group member that speaks in bare requests."""

    def __init__(
        self, admin: AIOKafkaAdminClient, coordinator: int, group: str, kind: str = "consumer"
    ) -> None:
        self.admin, self.coordinator, self.group, self.kind = admin, coordinator, group, kind
        self.member_id, self.generation = "", -1
        self.is_leader = False
        self.instance_id: Any = None

    async def send(self, request: Any) -> Any:
        return await self.admin._send_request_to_node(self.coordinator, request)

    async def join(self, protocol: str = "range") -> Any:
        while True:
            response = await self.send(
                JoinGroupRequest(
                    self.group,
                    SESSION_MS,
                    SESSION_MS,
                    self.member_id,
                    self.instance_id,
                    self.kind,
                    [(protocol, b"")],
                )
            )
            name = error_name(response.error_code)
            self.member_id = response.member_id or self.member_id
            if name != "MemberIdRequired":
                break
        self.generation = response.generation_id
        self.is_leader = response.leader_id == self.member_id
        return response

    async def sync(self, generation: int | None = None) -> str:
        plan = [(self.member_id, b"")] if self.is_leader else []
        at = self.generation if generation is None else generation
        request = SyncGroupRequest(self.group, at, self.member_id, self.instance_id, plan)
        return error_name((await self.send(request)).error_code)

    async def heartbeat(self, generation: int | None = None) -> str:
        at = self.generation if generation is None else generation
        response = await self.send(HeartbeatRequest(self.group, at, self.member_id))
        return error_name(response.error_code)

    async def leave(self) -> str:
        response = await self.send(LeaveGroupRequest(self.group, self.member_id))
        return error_name(response.error_code)

    async def commit(self, topic: str, generation: int | None = None, metadata: str = "") -> str:
        at = self.generation if generation is None else generation
        partitions = [(topic, [(0, 1, metadata)])]
        request = OffsetCommitRequest(self.group, at, self.member_id, -1, partitions)
        response = await self.send(request)
        return error_name(response.topics[0][1][0][1])


class Wrong:
    """Each wrong use, as a method named after it; returns the name of Kafka's answer."""

    def __init__(self, recorder: Recorder, topic: str) -> None:
        self.recorder, self.admin, self.topic = recorder, recorder.admin, topic
        self.number = 0

    async def member(self, *, synced: bool = True) -> RawMember:
        self.number += 1
        member = await self.recorder.member(f"wrong-{self.number}")
        await member.join()
        if synced:
            await member.sync()
        return member

    async def newcomer(self, group: str) -> asyncio.Task[Any]:
        other = await self.recorder.member(group)
        joining = asyncio.create_task(other.join())
        await asyncio.sleep(0.5)
        return joining

    # -- topics -------------------------------------------------------------------------

    async def create_a_topic_that_is_there(self) -> str:
        return await self.recorder.create(self.topic, 1, {})

    async def create_a_topic_with_a_bad_name(self) -> str:
        return await self.recorder.create("not a name!", 1, {})

    async def create_a_topic_without_partitions(self) -> str:
        return await self.recorder.create("nowhere", 0, {})

    async def create_a_topic_with_an_unknown_entry(self) -> str:
        return await self.recorder.create("nowhere", 1, {"no.such": "1"})

    async def create_a_topic_with_a_bad_value(self) -> str:
        return await self.recorder.create("nowhere", 1, {"retention.ms": "soon"})

    async def delete_a_topic_that_is_not_there(self) -> str:
        response: Any = await self.admin.delete_topics(["nowhere"])
        return error_name(response.topic_error_codes[0][1])

    async def _grow(self, topic: str, total: int) -> str:
        response: Any = await self.admin.create_partitions({topic: NewPartitions(total)})
        return error_name(response.topic_errors[0][1])

    async def fewer_partitions(self) -> str:
        return await self._grow(self.topic, 1)

    async def as_many_partitions(self) -> str:
        return await self._grow(self.topic, 2)

    async def partitions_of_a_topic_that_is_not_there(self) -> str:
        return await self._grow("nowhere", 3)

    async def configuration_of_a_topic_that_is_not_there(self) -> str:
        resource = ConfigResource(ConfigResourceType.TOPIC, "nowhere")
        response: Any = (await self.admin.describe_configs([resource]))[0]
        return error_name(response.resources[0][0])

    async def _alter(self, topic: str, config: dict[str, str]) -> str:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, config)
        response: Any = (await self.admin.alter_configs([resource]))[0]
        return error_name(response.resources[0][0])

    async def alter_a_topic_that_is_not_there(self) -> str:
        return await self._alter("nowhere", {"retention.ms": "1"})

    async def alter_an_entry_to_a_bad_value(self) -> str:
        return await self._alter(self.topic, {"cleanup.policy": "burn"})

    async def delete_records_of_a_topic_that_is_not_there(self) -> str:
        # Known from the metadata alone: a topic without a leader cannot be asked.
        metadata: Any = await self.admin._get_cluster_metadata(["nowhere"])
        return error_name(metadata.topics[0][0])

    async def delete_records_beyond_the_end(self) -> str:
        await self.admin.delete_records({TopicPartition(self.topic, 0): RecordsToDelete(100)})
        return "NoError"

    # -- groups -------------------------------------------------------------------------

    async def heartbeat_of_an_unknown_member(self) -> str:
        member = await self.member()
        member.member_id = "stranger"
        return await member.heartbeat()

    async def heartbeat_of_an_old_generation(self) -> str:
        member = await self.member()
        return await member.heartbeat(member.generation - 1)

    async def heartbeat_while_a_round_is_prepared(self) -> str:
        member = await self.member()
        joining = await self.newcomer(member.group)
        answer = await member.heartbeat()
        await member.leave()
        await joining
        return answer

    async def sync_of_an_old_generation(self) -> str:
        member = await self.member()
        return await member.sync(member.generation - 1)

    async def commit_of_an_unknown_member(self) -> str:
        member = await self.member()
        member.member_id = "stranger"
        return await member.commit(self.topic)

    async def commit_of_an_old_generation(self) -> str:
        member = await self.member()
        return await member.commit(self.topic, member.generation - 1)

    async def commit_while_a_round_is_prepared(self) -> str:
        member = await self.member()
        joining = await self.newcomer(member.group)
        answer = await member.commit(self.topic)
        await member.leave()
        await joining
        return answer

    async def commit_before_syncing(self) -> str:
        return await (await self.member(synced=False)).commit(self.topic)

    async def commit_from_outside_of_a_group_with_members(self) -> str:
        member = await self.member()
        outsider = await self.recorder.member(member.group)
        return await outsider.commit(self.topic)

    async def commit_from_outside_of_an_empty_group(self) -> str:
        member = await self.member()
        await member.leave()
        outsider = await self.recorder.member(member.group)
        return await outsider.commit(self.topic)

    async def commit_with_too_much_metadata(self) -> str:
        return await (await self.member()).commit(self.topic, metadata="x" * 4097)

    async def commit_of_a_topic_that_is_not_there(self) -> str:
        return await (await self.member()).commit("nowhere")

    async def join_with_another_kind_of_protocol(self) -> str:
        member = await self.member()
        other = await self.recorder.member(member.group, kind="connect")
        return error_name((await other.join("strange")).error_code)


class Offsets:
    """Each use of offsets in a transaction, as a method named after it."""

    def __init__(self, recorder: Recorder, topic: str) -> None:
        self.recorder, self.topic = recorder, topic
        self.number = 0

    async def member(self, *, synced: bool = True) -> RawMember:
        self.number += 1
        member = await self.recorder.member(f"offsets-{self.number}")
        await member.join()
        if synced:
            await member.sync()
        return member

    async def give(
        self,
        member: RawMember,
        *,
        generation: int | None = None,
        topic: str = "",
        metadata: str = "",
        fenced: bool = False,
    ) -> str:
        """Give an offset to a new transaction; return the name of Kafka's answer."""
        name = f"{member.group}-txn"
        at = member.generation if generation is None else generation
        async with AIOKafkaProducer(
            bootstrap_servers=self.recorder.bootstrap, transactional_id=name
        ) as producer:
            manager: Any = producer._txn_manager
            ours = (manager.producer_id, manager.producer_epoch)
            # One node: it coordinates everything.
            added = await member.send(AddOffsetsToTxnRequest(name, *ours, member.group))
            assert added.error_code == 0, error_name(added.error_code)
            if fenced:
                async with AIOKafkaProducer(
                    bootstrap_servers=self.recorder.bootstrap, transactional_id=name
                ):
                    return await self._send(member, name, ours, at, topic, metadata)
            answer = await self._send(member, name, ours, at, topic, metadata)
            await member.send(EndTxnRequest(name, *ours, False))
            return answer

    async def _send(
        self,
        member: RawMember,
        name: str,
        producer: tuple[int, int],
        generation: int,
        topic: str,
        metadata: str,
    ) -> str:
        who = (generation, member.member_id, None)
        offsets = {topic or self.topic: [(0, 1, metadata)]}
        request = TxnOffsetCommitRequest(name, producer, member.group, who, offsets)
        answer = await member.send(request)
        return error_name(answer.topics[0][1][0][1])

    async def offsets_of_a_member(self) -> str:
        return await self.give(await self.member())

    async def offsets_of_an_unknown_member(self) -> str:
        member = await self.member()
        member.member_id = "stranger"
        return await self.give(member)

    async def offsets_of_an_old_generation(self) -> str:
        member = await self.member()
        return await self.give(member, generation=member.generation - 1)

    async def offsets_of_a_generation_to_come(self) -> str:
        member = await self.member()
        return await self.give(member, generation=member.generation + 1)

    async def offsets_while_a_round_is_prepared(self) -> str:
        member = await self.member()
        other = await self.recorder.member(member.group)
        joining = asyncio.create_task(other.join())
        await asyncio.sleep(0.5)
        answer = await self.give(member)
        await member.leave()
        await joining
        return answer

    async def offsets_before_syncing(self) -> str:
        return await self.give(await self.member(synced=False))

    async def offsets_with_too_much_metadata(self) -> str:
        return await self.give(await self.member(), metadata="x" * 4097)

    async def offsets_with_as_much_metadata_as_fits(self) -> str:
        return await self.give(await self.member(), metadata="x" * 4096)

    async def offsets_of_a_topic_that_is_not_there(self) -> str:
        return await self.give(await self.member(), topic="nowhere")

    async def offsets_by_a_fenced_producer(self) -> str:
        return await self.give(await self.member(), fenced=True)


def error_name(code: int) -> str:
    """Return the name of a Kafka error code."""
    return str(for_code(code).__name__)


def encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def decoded(data: bytes | None) -> str | None:
    return None if data is None else data.decode()


def write(name: str, found: Any) -> None:
    """Write the answers of one scenario."""
    plain = {"recorded_from": "Apache Kafka 4.1.0", "answers": found}
    ANSWERS.mkdir(exist_ok=True)
    (ANSWERS / f"{name}.json").write_text(json.dumps(plain, indent=1) + "\n")


def record_murmur() -> None:
    """Let Kafka's Java client hash keys: [base64 of key, hash, partition of 7, of 1000]."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "Murmur.java"
        source.write_text(MURMUR)
        done = subprocess.run(
            [java(), "-cp", f"{kafka_libs()}/*", str(source)],
            capture_output=True,
            check=True,
            timeout=120,
        )
    vectors = json.loads(done.stdout)
    lines = ",\n".join(json.dumps(vector) for vector in vectors)
    VECTORS.write_text(f"[\n{lines}\n]\n")


async def record_all(bootstrap: str) -> None:
    """Record every scenario of one node."""
    await Recorder(bootstrap).record()


def main() -> None:
    """Record everything."""
    record_murmur()
    with KafkaNode(extra_properties=PROPERTIES) as node:
        asyncio.run(asyncio.wait_for(record_all(node.bootstrap), 300))


if __name__ == "__main__":
    main()
