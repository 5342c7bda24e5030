"""One member of one consumer group, in the classic protocol; an instance id in every request.

Two connections: a join (or a sync) waits at the broker until others have come, and neither
heartbeats nor commits may wait behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from typing import Any

from aiokafka.protocol.group import SyncGroupRequest

from faust._values import TP
from faust.exceptions import (
    BrokerError,
    FencedMember,
    GroupAuthorizationFailed,
    RejoinError,
    UnknownMember,
)
from faust.transport.drivers.aiokafka.cluster import Cluster
from faust.transport.drivers.aiokafka.coordinator import Coordinator
from faust.transport.drivers.aiokafka.errors import (
    FENCED_PRODUCER,
    MEMBER_ID_REQUIRED,
    NO_ERROR,
    error_for,
    may_be_retried,
)
from faust.transport.drivers.aiokafka.group_requests import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
)
from faust.transport.drivers.aiokafka.transaction_requests import TxnOffsetCommitRequest
from faust.transport.membership import Commit, GroupOptions, Membership, Round

__all__ = ["KafkaMembership", "commit_from_outside", "committed_offsets"]

log = logging.getLogger(__name__)

_LEAVE_SECONDS = 5.0
#: A first pause where what is waited for takes milliseconds.
_SHORT_SECONDS = 0.01
_REBALANCE_IN_PROGRESS = 27
_UNKNOWN_SERVER_ERROR = -1
_PARSED = (
    "Kafka 4 parses what members of a group of type 'consumer' join with: "
    "it must be a subscription of the consumer protocol"
)
_numbers = count(1)


class KafkaMembership(Membership):
    """See `faust.transport.membership.Membership`."""

    def __init__(self, cluster: Cluster, options: GroupOptions) -> None:
        number = next(_numbers)
        self._cluster = cluster
        self._options = options
        self._lane, self._waiting_lane = f"group-{number}", f"join-{number}"
        self._coordinator = Coordinator(cluster, options.group_id, self._lane)
        self._member_id = ""
        self._generation = -1

    def __repr__(self) -> str:
        return (
            f"<KafkaMembership {self._options.group_id!r} "
            f"[member {self._member_id or None} | generation {self._generation}]>"
        )

    @property
    def group_id(self) -> str:
        """The group that we are a member of."""
        return self._options.group_id

    @property
    def member_id(self) -> str:
        return self._member_id

    @property
    def generation(self) -> int:
        return self._generation

    # -- rounds ----------------------------------------------------------------

    async def join(self, protocols: Sequence[tuple[str, bytes]]) -> Round:
        answer = await self._ask_waiting(self._join_request(protocols), "joining")
        if answer.error_code == MEMBER_ID_REQUIRED:
            # KIP-394: we were only given an id, so that a lost answer leaves no ghost in the group.
            self._member_id = answer.member_id
            answer = await self._ask_waiting(self._join_request(protocols), "joining")
        self._raise(answer.error_code, "joining")
        self._member_id, self._generation = answer.member_id, answer.generation
        return Round(
            generation=answer.generation,
            member_id=answer.member_id,
            leader=answer.leader,
            protocol=answer.protocol or "",
            members={member[0]: member[2] for member in answer.members},
            instances={member[0]: member[1] for member in answer.members if member[1]},
            skip_assignment=bool(getattr(answer, "skip_assignment", False)),
        )

    async def sync(self, generation: int, plan: Mapping[str, bytes] | None) -> bytes:
        options = self._options
        request = SyncGroupRequest(
            options.group_id,
            generation,
            self._member_id,
            options.instance_id,  # type: ignore[arg-type]  # aiokafka sends null for None
            list((plan or {}).items()),
        )
        answer = await self._ask_waiting(request, "syncing")
        self._raise(answer.error_code, "syncing")
        return bytes(answer.member_assignment or b"")

    async def heartbeat(self) -> None:
        self._raise(await self._beat(self._generation), "heartbeat")

    async def leave(self) -> None:
        if not self._member_id:
            return
        options = self._options
        request = LeaveGroupRequest(options.group_id, self._member_id, options.instance_id)
        try:
            await self._coordinator.ask(request, "leaving", seconds=_LEAVE_SECONDS)
        except BrokerError as exc:
            log.warning("Leaving group %r: %s; its session will time out", options.group_id, exc)
        self._member_id, self._generation = "", -1

    async def close(self) -> None:
        for lane in (self._lane, self._waiting_lane):
            self._cluster.connections.drop_lane(lane, abort=True)
        self._member_id, self._generation = "", -1

    # -- offsets ---------------------------------------------------------------

    async def commit(
        self, offsets: Mapping[TP, Commit], *, generation: int
    ) -> dict[TP, BrokerError]:
        if not offsets:
            # Kafka answers a commit of nothing with nothing, not even that we are out.
            code = await self._beat(generation)
            if code != _REBALANCE_IN_PROGRESS:
                self._raise(code, "committing offsets")
            return {}
        options = self._options
        request = OffsetCommitRequest(
            options.group_id,
            generation,
            self._member_id,
            options.instance_id,
            _by_topic(offsets),
        )
        return await _commit(self._coordinator, request, self._raise)

    async def commit_in_transaction(
        self,
        name: str,
        producer: tuple[int, int],
        offsets: Mapping[TP, Commit],
        generation: int | None,
        on_retry: Callable[[int], object] | None = None,
    ) -> int:
        """Let offsets be committed with the transaction of a producer (its id and epoch).

        ``on_retry`` is told of attempts that were made again, as by `Coordinator.ask`.
        Returns an error code that concerns the producer, or 0; raises what concerns us.
        """
        if not self._member_id:  # Kafka takes this for a producer that says nothing of a member
            raise UnknownMember(f"not a member of group {self.group_id!r} (any more)")
        current = self._generation if generation is None else generation
        request = TxnOffsetCommitRequest(
            name,
            producer,
            self.group_id,
            (current, self._member_id, self._options.instance_id),
            _by_topic(offsets),
        )
        what = "committing offsets in a transaction"
        answer = await self._coordinator.ask(
            request, what, code_of=_code_of_commit, first_pause=_SHORT_SECONDS, on_retry=on_retry
        )
        codes = [code for _, partitions, *_ in answer.topics for _, code, *_ in partitions]
        for code in codes:
            if code in FENCED_PRODUCER:
                return int(code)
            self._raise(code, what)
        return NO_ERROR

    # -- inside ----------------------------------------------------------------

    async def _beat(self, generation: int) -> int:
        options = self._options
        request = HeartbeatRequest(
            options.group_id, generation, self._member_id, options.instance_id
        )
        code: int = (await self._coordinator.ask(request, "heartbeat")).error_code
        return code

    def _join_request(self, protocols: Sequence[tuple[str, bytes]]) -> JoinGroupRequest:
        options = self._options
        return JoinGroupRequest(
            options.group_id,
            session_timeout_ms=int(options.session_timeout * 1000),
            rebalance_timeout_ms=int(options.rebalance_timeout * 1000),
            member_id=self._member_id,
            instance_id=options.instance_id,
            protocol_type=options.protocol_type,
            protocols=protocols,
        )

    async def _ask_waiting(self, request: Any, what: str) -> Any:
        try:
            return await self._coordinator.ask(
                request,
                what,
                lane=self._waiting_lane,
                waits_seconds=self._options.rebalance_timeout,
            )
        except BaseException:
            # The broker may still be working on it, and would keep the connection's next request.
            self._cluster.connections.drop_lane(self._waiting_lane, abort=True)
            raise

    def _raise(self, code: int, what: str) -> None:
        """Raise what ``code`` means to a member, and forget what is void by it."""
        if code == NO_ERROR:
            return
        hint = _PARSED if code == _UNKNOWN_SERVER_ERROR and what == "joining" else None
        error = error_for(code, f"{what} in group {self._options.group_id!r}", hint)
        if isinstance(error, UnknownMember):
            self._member_id, self._generation = "", -1
        raise error


async def committed_offsets(
    cluster: Cluster, group_id: str, tps: Collection[TP] | None, *, stable: bool
) -> dict[TP, Commit]:
    """See `faust.transport.base.Transport.committed`."""
    topics: dict[str, list[int]] | None = None
    if tps is not None:
        topics = {}
        for tp in tps:
            topics.setdefault(tp.topic, []).append(tp.partition)
    answer = await Coordinator(cluster, group_id).ask(
        OffsetFetchRequest(group_id, topics, stable=stable),
        "asking for the committed offsets",
        code_of=_code_of_fetched,
        first_pause=_SHORT_SECONDS if stable else 0.1,
    )
    code = _code_of_fetched(answer)
    if code != NO_ERROR:
        raise error_for(code, f"asking for the committed offsets of group {group_id!r}")
    return {
        TP(topic, partition): Commit(offset, metadata or "")
        for topic, partitions, *_ in answer.topics
        for partition, offset, _, metadata, code, *_ in partitions
        if code == NO_ERROR and offset >= 0
    }


async def commit_from_outside(
    cluster: Cluster, group_id: str, offsets: Mapping[TP, Commit]
) -> None:
    """See `faust.transport.base.Transport.commit_offsets`."""
    what = f"committing from outside of group {group_id!r}"

    def check(code: int, _: str) -> None:
        if code != NO_ERROR:
            raise error_for(code, what)

    request = OffsetCommitRequest(group_id, -1, "", None, _by_topic(offsets))
    refused = await _commit(Coordinator(cluster, group_id), request, check)
    for error in refused.values():
        raise error


async def _commit(
    coordinator: Coordinator, request: OffsetCommitRequest, check: Any
) -> dict[TP, BrokerError]:
    """Send one commit; what concerns the member is raised by ``check``, the rest returned."""
    answer = await coordinator.ask(request, "committing offsets", code_of=_code_of_commit)
    refused: dict[TP, BrokerError] = {}
    for topic, partitions in answer.topics:
        for partition, code in partitions:
            if code == NO_ERROR:
                continue
            tp = TP(topic, partition)
            error = error_for(code, f"committing an offset of {tp}")
            if isinstance(error, RejoinError | FencedMember | GroupAuthorizationFailed):
                check(code, "committing offsets")
            refused[tp] = error
    return refused


def _code_of_commit(answer: Any) -> int:
    """A coordinator that is not one says so for every partition; one of them is enough."""
    codes = [code for _, partitions, *_ in answer.topics for _, code, *_ in partitions]
    return next((code for code in codes if may_be_retried(code)), NO_ERROR)


def _code_of_fetched(answer: Any) -> int:
    if answer.error_code != NO_ERROR:
        code: int = answer.error_code
        return code
    codes = [p[4] for _, partitions, *_ in answer.topics for p in partitions]
    return next((code for code in codes if may_be_retried(code)), NO_ERROR)


def _by_topic(offsets: Mapping[TP, Commit]) -> dict[str, list[tuple[int, int, str]]]:
    topics: dict[str, list[tuple[int, int, str]]] = {}
    for tp, commit in offsets.items():
        topics.setdefault(tp.topic, []).append((tp.partition, commit.offset, commit.metadata))
    return topics
