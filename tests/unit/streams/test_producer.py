"""Which failed writes are tried again: those that waiting mends; all others are refused in clear words."""

import inspect
import time

import aiokafka.errors
import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from streams.kafka import producer
from streams.kafka.connection import Connection
from streams.kafka.producer import Message, MessageTooLargeError, Sink, WriteRefusedError, _FailedError

TOPIC = "riskmon.actions"
MESSAGES = [Message(TOPIC, 0, b"B1", b"x" * 10), Message(TOPIC, 0, b"B2", b"x" * 100)]
PASS = [
    aiokafka.errors.KafkaConnectionError,
    aiokafka.errors.KafkaTimeoutError,
    aiokafka.errors.NotEnoughReplicasError,
    aiokafka.errors.NotLeaderForPartitionError,
    aiokafka.errors.RequestTimedOutError,
    aiokafka.errors.KafkaStorageError,
    aiokafka.errors.OutOfOrderSequenceNumber,
    aiokafka.errors.UnknownProducerId,
    aiokafka.errors.ProducerFenced,
    aiokafka.errors.NodeNotReadyError,
]
NEVER_PASS = [
    aiokafka.errors.InvalidTopicError,
    aiokafka.errors.InvalidTimestampError,
    aiokafka.errors.PolicyViolationError,
    aiokafka.errors.UnsupportedForMessageFormatError,
    aiokafka.errors.UnsupportedVersionError,
    aiokafka.errors.InvalidRequiredAcksError,
    aiokafka.errors.IncompatibleBrokerVersion,
]


class Failing(Sink):
    """A sink whose Kafka answers each try with the next error, and at last takes the write."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__(Connection("nowhere:1"))
        self.errors = list(errors)
        self.tries = 0

    async def _write_parts(self, messages: "list[Message]") -> list[int]:  # type: ignore[override]
        self.tries += 1
        if self.errors:
            raise _FailedError(TOPIC, self.errors.pop(0))
        return list(range(len(messages)))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "_RETRY_SECONDS", 0.0)


@pytest.mark.parametrize("error", PASS)
async def test_what_waiting_mends_is_waited_for(error: type[KafkaError]) -> None:
    sink = Failing(*[error() for _ in range(20)])
    assert await sink.write(MESSAGES) == [0, 1]
    assert sink.tries == 21


@pytest.mark.parametrize("error", NEVER_PASS)
async def test_what_waiting_does_not_mend_is_refused_at_once(error: type[KafkaError]) -> None:
    sink = Failing(*[error() for _ in range(20)])
    with pytest.raises(WriteRefusedError, match=rf"{TOPIC}: {error.__name__}"):
        await sink.write(MESSAGES)
    assert sink.tries == 1


@pytest.mark.parametrize("error", producer._MENDED_BY_PEOPLE)
async def test_what_a_person_can_mend_is_waited_for_a_while(
    error: type[KafkaError], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Failing(error(), error())
    assert await sink.write(MESSAGES) == [0, 1]
    monkeypatch.setattr(producer, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(producer, "_RETRY_SECONDS", 0.05)
    sink, began = Failing(*[error() for _ in range(1000)]), time.monotonic()
    with pytest.raises(WriteRefusedError, match=TOPIC):
        await sink.write(MESSAGES)
    assert time.monotonic() - began >= 0.2
    assert sink.tries > 1


async def test_patience_begins_anew_with_every_write_that_went_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "PATIENCE_SECONDS", 0.1)
    sink = Failing(TopicAuthorizationFailedError())
    await sink.write(MESSAGES)
    time.sleep(0.15)
    sink.errors = [TopicAuthorizationFailedError(), KafkaConnectionError(), UnknownTopicOrPartitionError()]
    assert await sink.write(MESSAGES) == [0, 1]


async def test_a_batch_too_large_is_tried_message_by_message_and_then_named() -> None:
    assert await Failing(MessageSizeTooLargeError()).write(MESSAGES) == [0, 1]
    with pytest.raises(MessageTooLargeError, match=rf"{TOPIC} does not take a message of 102 bytes \(key b'B2'\)"):
        await Failing(*[MessageSizeTooLargeError()] * 2).write(MESSAGES)


async def test_no_error_of_the_client_is_tried_for_ever_unless_waiting_may_mend_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever aiokafka may add: what is neither known to pass nor called retriable ends the write."""
    monkeypatch.setattr(producer, "PATIENCE_SECONDS", -1.0)
    kinds: list[type[KafkaError]] = [
        kind for _, kind in inspect.getmembers(aiokafka.errors, inspect.isclass) if issubclass(kind, KafkaError)
    ]
    # Only its kinds are ever raised; it cannot be shown.
    kinds.remove(aiokafka.errors.BrokerResponseError)
    ended = set()
    for kind in kinds:
        try:
            await Failing(*[kind()] * 3).write(MESSAGES)
        except WriteRefusedError:
            ended.add(kind)
    assert len(kinds) > 80
    assert ended >= {*NEVER_PASS, MessageSizeTooLargeError, *producer._MENDED_BY_PEOPLE}
    assert not ended & set(PASS)
