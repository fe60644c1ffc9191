"""Refused messages: how they go to riskmon.deadletter, are read back there, repaired, and sent on their way again.

A dead letter holds the bytes as they came, with reason and origin in the headers. When one is sent again, a receipt
(a message without a value that names the dead letter's offset) says so on the same topic. The receipt comes second: a
crash between the two leads to a second replay at most, which the event's id makes a duplicate.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from aiokafka import ConsumerRecord

from streams.contracts.events import DayClosed, InvalidEventError, decode_event
from streams.contracts.records import DeadLetter, time_of
from streams.contracts.topics import DEADLETTER, EVENTS, MAX_MESSAGE_BYTES
from streams.kafka.connection import Connection
from streams.kafka.producer import Message, Sink
from streams.kafka.reader import read_topic

_RECEIPT = "riskmon-replayed-offset"
_CUT_FROM = "riskmon-cut-from-bytes"
_MOST_BYTES = MAX_MESSAGE_BYTES - (64 << 10)


class RepairError(ValueError):
    """A dead letter could not be repaired; the text says why."""


@dataclass(frozen=True)
class FiledLetter:
    """A dead letter on its topic: where it lies there, why it was refused, where it came from, and its bytes."""

    offset: int
    filed_at: datetime
    reason: str
    detail: str
    topic: str
    partition: int
    origin_offset: int
    key: bytes | None
    value: bytes | None
    is_cut: bool


class Replayed(NamedTuple):
    """What became of one dead letter; `problem` is None when it was sent again."""

    letter: FiledLetter
    problem: str | None


def dead_letter_message(topic: str, refused: DeadLetter) -> Message:
    """The message to write for a record of `topic` that was refused; key and value are the original ones.

    Only a value that no topic could take (it came out of a compressed batch) is cut, and its size is told.
    """
    record, value = refused.record, refused.record.value
    headers = {
        "riskmon-reason": refused.reason,
        "riskmon-detail": refused.detail,
        "riskmon-topic": topic,
        "riskmon-partition": str(record.partition),
        "riskmon-offset": str(record.offset),
        "riskmon-timestamp-ms": str(record.timestamp_ms),
    }
    if value is not None and len(value) > _MOST_BYTES:
        headers[_CUT_FROM] = str(len(value))
        value = value[:_MOST_BYTES]
    return Message(DEADLETTER, None, record.key, value, tuple((name, text.encode()) for name, text in headers.items()))


async def open_letters(kafka: Connection) -> AsyncIterator[FiledLetter]:
    """The dead letters that were not sent again yet, oldest first."""
    letters: dict[int, FiledLetter] = {}
    async for message in read_topic(kafka, DEADLETTER, follow=False):
        if is_receipt(message):
            letters.pop(int(_headers(message)[_RECEIPT]), None)
        else:
            letters[message.offset] = filed_letter(message)
    for letter in letters.values():
        yield letter


async def replay(
    kafka: Connection, letters: Iterable[FiledLetter], repair: Callable[[bytes], bytes]
) -> AsyncIterator[Replayed]:
    """Send letters to the topics they came from, each repaired first; what would be refused again stays open."""
    sink = Sink(kafka)
    try:
        for letter in letters:
            try:
                again = _addressed(letter, repair(letter.value or b""))
            except (RepairError, InvalidEventError) as error:
                yield Replayed(letter, str(error))
                continue
            await sink.write([again])
            receipt = ((_RECEIPT, str(letter.offset).encode()),)
            await sink.write([Message(DEADLETTER, 0, letter.key, None, receipt)])
            yield Replayed(letter, None)
    finally:
        await sink.close()


def is_receipt(message: ConsumerRecord) -> bool:
    """Whether this message of the dead-letter topic says that a letter was sent again."""
    return _RECEIPT in _headers(message)


def filed_letter(message: ConsumerRecord) -> FiledLetter:
    """The dead letter that a message of the topic is, unless it is a receipt."""
    headers = _headers(message)
    return FiledLetter(
        offset=message.offset,
        filed_at=time_of(message.timestamp),
        reason=headers["riskmon-reason"],
        detail=headers["riskmon-detail"],
        topic=headers["riskmon-topic"],
        partition=int(headers["riskmon-partition"]),
        origin_offset=int(headers["riskmon-offset"]),
        key=message.key,
        value=message.value,
        is_cut=_CUT_FROM in headers,
    )


def _headers(message: ConsumerRecord) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers}


def _addressed(letter: FiledLetter, value: bytes) -> Message:
    """The message for the origin's topic. An event's own words decide key and partition: they may be what was wrong."""
    if letter.is_cut:
        raise RepairError(
            f"it was cut; the whole message is at {letter.topic}/{letter.partition}@{letter.origin_offset}"
        )
    if letter.topic != EVENTS:
        return Message(letter.topic, letter.partition, letter.key, value)
    event = decode_event(value)
    if isinstance(event, DayClosed):
        return Message(EVENTS, event.partition, None, value)
    return Message(EVENTS, None, event.borrower_id.encode(), value)
