"""Codes and broken connections mean what the table says."""

from __future__ import annotations

import ssl

import pytest
from aiokafka import errors as kafka

from faust.exceptions import (
    BrokerError,
    BrokerUnavailable,
    FencedMember,
    IllegalGeneration,
    ProducerFenced,
    RebalanceInProgress,
    StopError,
    TransactionAborted,
    UnknownMember,
    UnknownTopic,
)
from faust.transport.drivers.aiokafka import errors


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (3, UnknownTopic),
        (22, IllegalGeneration),
        (25, UnknownMember),
        (27, RebalanceInProgress),
        (47, ProducerFenced),
        (48, TransactionAborted),
        (49, TransactionAborted),
        (50, StopError),
        (53, StopError),
        (82, FencedMember),
        (90, ProducerFenced),
        (100, UnknownTopic),
        (105, ProducerFenced),
        (120, TransactionAborted),
    ],
)
def test_a_code_is_raised_as_its_consequence_and_the_foreign_error_is_its_cause(
    code: int, expected: type[BrokerError]
) -> None:
    error = errors.error_for(code, "doing this", "because")
    assert type(error) is expected
    assert str(error).startswith("doing this: ")
    assert "(because)" in str(error)
    assert isinstance(error.__cause__, kafka.KafkaError)


@pytest.mark.parametrize(("code", "advice"), [(50, "transaction.max.timeout.ms"), (53, "Write")])
def test_what_has_to_be_done_is_part_of_the_message(code: int, advice: str) -> None:
    assert advice in str(errors.error_for(code, "getting an epoch"))


def test_a_code_that_nobody_knows_stops_the_app_under_its_number() -> None:
    assert isinstance(errors.error_for(4711, "x"), StopError)
    assert "4711" in str(errors.error_for(4711, "x"))
    assert not errors.may_be_retried(4711)


@pytest.mark.parametrize("code", sorted({5, 6, 7, 14, 15, 16, 19, 20, 41, 51, 56, 74, 75, 78, 88}))
def test_what_passes_by_itself_may_be_retried(code: int) -> None:
    assert errors.may_be_retried(code)


@pytest.mark.parametrize(
    "code", [0, 1, 3, 10, 17, 22, 25, 27, 29, 30, 36, 47, 48, 49, 50, 53, 55, 82, 90, 105, 120]
)
def test_what_does_not_pass_by_itself_may_not(code: int) -> None:
    assert not errors.may_be_retried(code)


def test_the_codes_that_send_us_looking_again_may_all_be_retried() -> None:
    for code in errors.STALE_METADATA | errors.COORDINATOR_MOVED:
        assert errors.may_be_retried(code)


def test_broken_connections_are_retried_and_refused_credentials_are_not() -> None:
    assert errors.may_be_retried(ConnectionResetError())
    assert errors.may_be_retried(TimeoutError())
    assert errors.may_be_retried(kafka.KafkaConnectionError("gone"))
    assert not errors.may_be_retried(kafka.SaslAuthenticationFailed("no"))
    assert not errors.may_be_retried(ssl.SSLCertVerificationError())
    assert not errors.may_be_retried(kafka.IncompatibleBrokerVersion("old"))
    assert not errors.may_be_retried(ValueError())


def test_foreign_exceptions_are_translated_with_their_cause() -> None:
    cases: list[tuple[BaseException, type[BrokerError]]] = [
        (ConnectionResetError("reset"), BrokerUnavailable),
        (TimeoutError(), BrokerUnavailable),
        (kafka.SaslAuthenticationFailed("no"), StopError),
        (kafka.IncompatibleBrokerVersion("old"), StopError),
        (NotImplementedError("old"), StopError),
    ]
    for foreign, expected in cases:
        error = errors.translated(foreign, "asking")
        assert type(error) is expected
        assert error.__cause__ is foreign
    known = UnknownTopic("x")
    assert errors.translated(known, "asking") is known
