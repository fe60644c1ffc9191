"""Refused messages: how they go to riskmon.deadletter, are read back there, repaired, and sent on their way again.

A dead letter holds the key and value as they came, with reason and origin in the headers; headers of the message itself
are not kept, they stand at its origin. When one is sent again, a receipt (a message without a value that names the
dead letter's offset) says so on the same topic. The receipt comes second: a crash between the two leads to a second
replay at most, which the event's id makes a duplicate.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from streams.contracts.events import DayClosed, InvalidEventError, decode_event
from streams.contracts.labels import Label
from streams.contracts.records import DeadLetter, time_of
from streams.contracts.topics import DEADLETTER, EVENTS, LABELS, MAX_MESSAGE_BYTES
from streams.kafka.admin import partitions_of
from streams.kafka.connection import Connection
from streams.kafka.producer import Message, MessageTooLargeError, Sink
from streams.kafka.reader import note_foreign, read_topic

_RECEIPT = "riskmon-replayed-offset"
_CUT_FROM = "riskmon-cut-from-bytes"
_KEY_CUT_FROM = "riskmon-key-cut-from-bytes"
# What stays for key and value beside headers and Kafka's own bytes, first as the topic is made, then where somebody
# has made it smaller: Kafka's default, a small message, nothing but reason and origin.
_MOST_BYTES = (MAX_MESSAGE_BYTES - (64 << 10), 900 << 10, 32 << 10, 0)
_MOST_DETAIL = 3_000
_MISPLACED = frozenset({"wrong_partition", "key_mismatch"})


class RepairError(ValueError):
    """A dead letter could not be repaired; the text says why."""


class ForeignLetterError(ValueError):
    """A message of the dead-letter topic that riskmon did not write; the text says by what that is known."""


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


class Writes(Protocol):
    """What takes messages, such as a `Sink`."""

    async def write(self, messages: Sequence[Message]) -> list[int]:
        """Return once all are acknowledged."""


class Replayed(NamedTuple):
    """What became of one dead letter; `problem` is None when it was sent again."""

    letter: FiledLetter
    problem: str | None


def dead_letter_message(topic: str, refused: DeadLetter, most: int = _MOST_BYTES[0]) -> Message:
    """The message to write for a record of `topic` that was refused; key and value are the original ones.

    Only what no topic could take (it came out of a compressed batch) is cut to `most` bytes of key and value together,
    and the headers say how large it was.
    """
    record = refused.record
    headers = {
        "riskmon-reason": refused.reason,
        "riskmon-detail": refused.detail[:_MOST_DETAIL],
        "riskmon-topic": topic,
        "riskmon-partition": str(record.partition),
        "riskmon-offset": str(record.offset),
        "riskmon-timestamp-ms": str(record.timestamp_ms),
    }
    key, value = record.key, record.value
    if len(key or b"") + len(value or b"") > most:
        # The value says more; a key beyond an eighth is not one of riskmon's.
        key = _cut(key, most // 8, _KEY_CUT_FROM, headers)
        value = _cut(value, most - len(key or b""), _CUT_FROM, headers)
    return Message(
        DEADLETTER, None, key, value, tuple((name, text.encode(errors="replace")) for name, text in headers.items())
    )


async def file_dead_letters(sink: Writes, topic: str, refused: Sequence[DeadLetter]) -> None:
    """Write dead letters for refused records of `topic`; one too large for the dead-letter topic goes smaller.

    Raises `WriteRefusedError` if they cannot be written at all: then nothing behind them may be processed.
    """
    try:
        await sink.write([dead_letter_message(topic, each) for each in refused])
    except MessageTooLargeError:
        for each in refused:
            await _file_smaller(sink, topic, each)


async def _file_smaller(sink: Writes, topic: str, refused: DeadLetter) -> None:
    for most in _MOST_BYTES:
        try:
            await sink.write([dead_letter_message(topic, refused, most)])
        except MessageTooLargeError:
            if most == _MOST_BYTES[-1]:
                raise
        else:
            return


def _cut(data: bytes | None, most: int, header: str, headers: dict[str, str]) -> bytes | None:
    if data is None or len(data) <= most:
        return data
    headers[header] = str(len(data))
    return data[:most]


async def open_letters(kafka: Connection) -> AsyncIterator[FiledLetter]:
    """The dead letters that were not sent again yet, oldest first; what is not riskmon's is passed over and told."""
    letters: dict[int, FiledLetter] = {}
    async for message in read_topic(kafka, DEADLETTER, follow=False):
        try:
            if is_receipt(message):
                letters.pop(_replayed_offset(message), None)
            else:
                letters[message.offset] = filed_letter(message)
        except ForeignLetterError as error:
            note_foreign(message, str(error))
    for letter in letters.values():
        yield letter


async def replay(
    kafka: Connection, letters: Iterable[FiledLetter], repair: Callable[[bytes], bytes]
) -> AsyncIterator[Replayed]:
    """Send letters to the topics they came from, each repaired first; what would be refused again stays open."""
    widths: dict[str, int] = {}
    for part in await partitions_of(kafka, EVENTS, LABELS):
        widths[part.topic] = max(widths.get(part.topic, 0), part.partition + 1)
    sink = Sink(kafka)
    try:
        for letter in letters:
            try:
                again = _addressed(letter, repair, widths)
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
    """The dead letter that a message of the topic is, unless it is a receipt. Raises `ForeignLetterError`."""
    headers = _headers(message)
    try:
        return FiledLetter(
            offset=message.offset,
            filed_at=time_of(message.timestamp),
            reason=headers["riskmon-reason"],
            detail=headers["riskmon-detail"],
            topic=headers["riskmon-topic"],
            partition=_number(headers, "riskmon-partition"),
            origin_offset=_number(headers, "riskmon-offset"),
            key=message.key,
            value=message.value,
            is_cut=_CUT_FROM in headers or _KEY_CUT_FROM in headers,
        )
    except KeyError as error:
        raise ForeignLetterError(f"it has no header {error.args[0]}") from None


def _replayed_offset(receipt: ConsumerRecord) -> int:
    return _number(_headers(receipt), _RECEIPT)


def _number(headers: Mapping[str, str], name: str) -> int:
    text = headers[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise ForeignLetterError(f"its header {name} is no number")
    return int(text)


def _headers(message: ConsumerRecord) -> dict[str, str]:
    return {name: (value or b"").decode(errors="backslashreplace") for name, value in message.headers}


def _addressed(letter: FiledLetter, repair: Callable[[bytes], bytes], widths: Mapping[str, int]) -> Message:
    """The repaired message for the topic and partition the letter came from.

    A dead letter's headers are only what somebody wrote there, and a replay has the operator's rights: nothing but
    riskmon's own inputs is written to.
    """
    origin = f"{letter.topic}/{letter.partition}@{letter.origin_offset}"
    if letter.topic not in widths:
        raise RepairError(f"it names {letter.topic} as its origin: only {EVENTS} and {LABELS} are written to")
    if letter.partition >= widths[letter.topic]:
        raise RepairError(f"it names {origin} as its origin, but there are {widths[letter.topic]} partitions")
    if letter.is_cut:
        raise RepairError(f"it was cut; the whole message is at {origin}")
    value = repair(letter.value or b"")
    message = _event_message(letter, value) if letter.topic == EVENTS else _label_message(letter, value)
    if message.partition is not None and message.partition >= widths[letter.topic]:
        raise RepairError(f"it is for partition {message.partition}, but there are {widths[letter.topic]} partitions")
    return message


def _event_message(letter: FiledLetter, value: bytes) -> Message:
    """Back to the letter's own partition, where the borrower's other events are, unless that was what was wrong.

    Then, or if the key is not the event's, the event's own words decide.
    """
    event = decode_event(value)
    if isinstance(event, DayClosed):
        return Message(EVENTS, event.partition, None, value)
    key = event.borrower_id.encode()
    is_misplaced = letter.reason in _MISPLACED or letter.key != key
    return Message(EVENTS, None if is_misplaced else letter.partition, key, value)


def _label_message(letter: FiledLetter, value: bytes) -> Message:
    try:
        Label.model_validate_json(value)
    except ValidationError as error:
        raise RepairError(f"it is no valid label: {error.error_count()} fields are wrong") from None
    return Message(LABELS, letter.partition, letter.key, value)
