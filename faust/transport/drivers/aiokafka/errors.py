"""What a broker's error code, or a broken connection, means: a table.

Codes are those of the Kafka protocol (``org.apache.kafka.common.protocol.Errors``); aiokafka names
them only up to 79, so the table is by number.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import NamedTuple

from aiokafka import errors as kafka

from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    CorruptRecord,
    FencedMember,
    GroupAuthorizationFailed,
    IllegalGeneration,
    InvalidTopic,
    MessageTooLarge,
    ProducerFenced,
    RebalanceInProgress,
    RetryableError,
    StopError,
    TopicAuthorizationFailed,
    TopicExists,
    TransactionAborted,
    UnknownMember,
    UnknownTopic,
)

__all__ = [
    "CONCURRENT_TRANSACTIONS",
    "COORDINATOR_MOVED",
    "DUPLICATE_SEQUENCE_NUMBER",
    "FENCED_PRODUCER",
    "FOREIGN",
    "FORGOTTEN_PRODUCER",
    "INVALID_TXN_STATE",
    "MEMBER_ID_REQUIRED",
    "NOT_ATTEMPTED",
    "NO_ERROR",
    "OFFSET_OUT_OF_RANGE",
    "OUT_OF_SEQUENCE",
    "STALE_METADATA",
    "TOPIC_GONE",
    "TRANSACTIONAL_ID_NOT_FOUND",
    "error_for",
    "may_be_retried",
    "name_of",
    "translated",
]

NO_ERROR = 0
OFFSET_OUT_OF_RANGE = 1
DUPLICATE_SEQUENCE_NUMBER = 46
INVALID_TXN_STATE = 48
CONCURRENT_TRANSACTIONS = 51
TRANSACTIONAL_ID_NOT_FOUND = 105
#: Of a partition in a request that was refused because of another one.
NOT_ATTEMPTED = 55
MEMBER_ID_REQUIRED = 79


class _Meaning(NamedTuple):
    name: str
    error: type[BrokerError]
    advice: str = ""


_MEANINGS: dict[int, _Meaning] = {
    -1: _Meaning("UNKNOWN_SERVER_ERROR", StopError),
    2: _Meaning("CORRUPT_MESSAGE", CorruptRecord),
    3: _Meaning("UNKNOWN_TOPIC_OR_PARTITION", UnknownTopic),
    5: _Meaning("LEADER_NOT_AVAILABLE", RetryableError),
    6: _Meaning("NOT_LEADER_OR_FOLLOWER", RetryableError),
    7: _Meaning("REQUEST_TIMED_OUT", RetryableError),
    8: _Meaning("BROKER_NOT_AVAILABLE", RetryableError),
    9: _Meaning("REPLICA_NOT_AVAILABLE", RetryableError),
    10: _Meaning("MESSAGE_TOO_LARGE", MessageTooLarge),
    12: _Meaning("OFFSET_METADATA_TOO_LARGE", StopError),
    13: _Meaning("NETWORK_EXCEPTION", RetryableError),
    14: _Meaning("COORDINATOR_LOAD_IN_PROGRESS", RetryableError),
    15: _Meaning("COORDINATOR_NOT_AVAILABLE", RetryableError),
    16: _Meaning("NOT_COORDINATOR", RetryableError),
    17: _Meaning("INVALID_TOPIC_EXCEPTION", InvalidTopic),
    18: _Meaning("RECORD_LIST_TOO_LARGE", MessageTooLarge),
    19: _Meaning("NOT_ENOUGH_REPLICAS", RetryableError),
    20: _Meaning("NOT_ENOUGH_REPLICAS_AFTER_APPEND", RetryableError),
    22: _Meaning("ILLEGAL_GENERATION", IllegalGeneration),
    23: _Meaning("INCONSISTENT_GROUP_PROTOCOL", StopError),
    24: _Meaning("INVALID_GROUP_ID", StopError),
    25: _Meaning("UNKNOWN_MEMBER_ID", UnknownMember),
    26: _Meaning("INVALID_SESSION_TIMEOUT", StopError),
    27: _Meaning("REBALANCE_IN_PROGRESS", RebalanceInProgress),
    28: _Meaning("INVALID_COMMIT_OFFSET_SIZE", StopError),
    29: _Meaning("TOPIC_AUTHORIZATION_FAILED", TopicAuthorizationFailed),
    30: _Meaning(
        "GROUP_AUTHORIZATION_FAILED",
        GroupAuthorizationFailed,
        "the app's id is its group, and needs the operation Read on it",
    ),
    31: _Meaning(
        "CLUSTER_AUTHORIZATION_FAILED",
        StopError,
        "whoever sends needs the operation Write on a topic; on brokers before 2.8 "
        "IdempotentWrite on the cluster, too",
    ),
    36: _Meaning("TOPIC_ALREADY_EXISTS", TopicExists),
    37: _Meaning("INVALID_PARTITIONS", InvalidTopic),
    38: _Meaning("INVALID_REPLICATION_FACTOR", InvalidTopic),
    39: _Meaning("INVALID_REPLICA_ASSIGNMENT", InvalidTopic),
    40: _Meaning("INVALID_CONFIG", InvalidTopic),
    41: _Meaning("NOT_CONTROLLER", RetryableError),
    42: _Meaning("INVALID_REQUEST", StopError),
    44: _Meaning("POLICY_VIOLATION", InvalidTopic),
    45: _Meaning("OUT_OF_ORDER_SEQUENCE_NUMBER", RetryableError),
    46: _Meaning("DUPLICATE_SEQUENCE_NUMBER", RetryableError),
    47: _Meaning("INVALID_PRODUCER_EPOCH", ProducerFenced),
    48: _Meaning("INVALID_TXN_STATE", TransactionAborted),
    49: _Meaning("INVALID_PRODUCER_ID_MAPPING", TransactionAborted),
    50: _Meaning(
        "INVALID_TRANSACTION_TIMEOUT",
        StopError,
        "the broker's transaction.max.timeout.ms is smaller than our transaction time-out",
    ),
    51: _Meaning("CONCURRENT_TRANSACTIONS", RetryableError),
    53: _Meaning(
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        StopError,
        "exactly_once needs the operations Write and Describe on this transactional id",
    ),
    56: _Meaning("KAFKA_STORAGE_ERROR", RetryableError),
    58: _Meaning("SASL_AUTHENTICATION_FAILED", StopError),
    59: _Meaning("UNKNOWN_PRODUCER_ID", RetryableError),
    60: _Meaning("REASSIGNMENT_IN_PROGRESS", RetryableError),
    68: _Meaning("NON_EMPTY_GROUP", UnknownMember),
    69: _Meaning("GROUP_ID_NOT_FOUND", UnknownMember),
    73: _Meaning("TOPIC_DELETION_DISABLED", InvalidTopic),
    74: _Meaning("FENCED_LEADER_EPOCH", RetryableError),
    75: _Meaning("UNKNOWN_LEADER_EPOCH", RetryableError),
    77: _Meaning("STALE_BROKER_EPOCH", RetryableError),
    78: _Meaning("OFFSET_NOT_AVAILABLE", RetryableError),
    81: _Meaning("GROUP_MAX_SIZE_REACHED", StopError),
    82: _Meaning(
        "FENCED_INSTANCE_ID",
        FencedMember,
        "another process has this consumer_group_instance_id: each worker needs one of its own",
    ),
    87: _Meaning("INVALID_RECORD", InvalidTopic),
    88: _Meaning("UNSTABLE_OFFSET_COMMIT", RetryableError),
    89: _Meaning("THROTTLING_QUOTA_EXCEEDED", RetryableError),
    90: _Meaning("PRODUCER_FENCED", ProducerFenced),
    100: _Meaning("UNKNOWN_TOPIC_ID", UnknownTopic),
    103: _Meaning("INCONSISTENT_TOPIC_ID", UnknownTopic),
    105: _Meaning("TRANSACTIONAL_ID_NOT_FOUND", ProducerFenced),
    106: _Meaning("FETCH_SESSION_TOPIC_ID_ERROR", RetryableError),
    # Our instance id is held by a member of the new protocol (KIP-848) that has not left yet.
    111: _Meaning("UNRELEASED_INSTANCE_ID", FencedMember),
    120: _Meaning("TRANSACTION_ABORTABLE", TransactionAborted),
}

#: The leader that we asked is not (or no longer) the leader: look again who is.
STALE_METADATA = frozenset({5, 6, 9, 56, 74, 75, 78})
#: The coordinator that we asked is not (or not yet) the coordinator: look again who is.
COORDINATOR_MOVED = frozenset({14, 15, 16})
#: No such topic, or another one of the same name; both also pass while a new topic spreads.
TOPIC_GONE = frozenset({3, 100, 103})
#: The broker's idea of our next sequence number is not ours.
OUT_OF_SEQUENCE = frozenset({45, 47, 49, 59})
#: Somebody has raised the epoch of our transactional id: a successor, or the coordinator itself
#: because our transaction was open for too long.
FENCED_PRODUCER = frozenset({47, 90})
#: The coordinator has forgotten who we are (after seven days without a transaction).
FORGOTTEN_PRODUCER = frozenset({49})

#: Everything that a connection raises.
FOREIGN = (OSError, asyncio.TimeoutError, EOFError, kafka.KafkaError)

#: Trying again with the same credentials cannot help.
_REFUSED = (
    kafka.SaslAuthenticationFailed,
    kafka.UnsupportedSaslMechanismError,
    kafka.IllegalSaslStateError,
    kafka.AuthenticationFailedError,
    kafka.AuthenticationMethodNotSupported,
    ssl.SSLCertVerificationError,
)


def name_of(code: int) -> str:
    """Return the protocol's name of an error code."""
    meaning = _MEANINGS.get(code)
    return meaning.name if meaning else f"error code {code}"


def error_for(code: int, what: str, detail: str | None = None) -> BrokerError:
    """Return the error that ``code`` means; ``what`` tells the user what was tried.

    A code that is not in the table stops the app: nobody knows what else is right.
    """
    meaning = _MEANINGS.get(code) or _Meaning(name_of(code), StopError)
    told = detail or meaning.advice
    error = meaning.error(f"{what}: {meaning.name}" + (f" ({told})" if told else ""))
    error.__cause__ = kafka.for_code(code)()
    return error


def may_be_retried(failure: int | BaseException) -> bool:
    """May the same request be sent again after a pause?

    1. A code: yes where the table says that it passes by itself.
    2. Refused credentials: no, they will be refused again.
    3. A broken connection or a time-out: yes; whether the request took effect is unknown, so only
       requests that may take effect twice come here (idempotent ones, and those with a generation).
    4. A request that the broker is too old for: no.
    5. Anything else: no.
    """
    if isinstance(failure, int):
        meaning = _MEANINGS.get(failure)
        return meaning is not None and issubclass(meaning.error, RetryableError)
    if isinstance(failure, _REFUSED):
        return False
    if isinstance(failure, RetryableError | OSError | asyncio.TimeoutError | EOFError):
        return True
    if isinstance(failure, kafka.IncompatibleBrokerVersion):
        return False
    return isinstance(failure, kafka.KafkaError) and bool(failure.retriable)


def translated(foreign: BaseException, what: str) -> BrokerError:
    """Return what a foreign exception means to us, the cause kept."""
    error: BrokerError
    if isinstance(foreign, BrokerError):
        return foreign
    reason = str(foreign) or type(foreign).__name__
    if isinstance(foreign, _REFUSED):
        error = StopError(
            f"{what}: the broker or its certificate was refused, or refused us: {reason}"
        )
    elif isinstance(foreign, kafka.IncompatibleBrokerVersion | NotImplementedError):
        error = StopError(f"{what}: Kafka 2.4 or later is needed (2.5 for exactly_once): {reason}")
    else:
        error = BrokerUnavailable(f"{what}: {reason}")
    error.__cause__ = foreign
    return error
