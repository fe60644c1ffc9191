"""All that the topics still hold of one borrower, read on demand and without a consumer group."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from streams.account.changelog import Claims, Verdict
from streams.account.codec import BorrowerState, decode_state
from streams.contracts.actions import Action
from streams.contracts.events import LoanOpened
from streams.contracts.labels import Label
from streams.contracts.records import Record, time_of
from streams.contracts.topics import ACTIONS, EVENTS, LABELS, changelog_name
from streams.decide import Rules
from streams.history.retell import Timeline, retell
from streams.kafka.admin import partitions_of
from streams.kafka.connection import Connection
from streams.kafka.reader import as_record, newest, note_foreign, read_to_end

# More than a lifetime of repayments and business days; what is older is left out, and said to be.
_MOST_RECORDS = 20_000
_MOST_ROWS = 2_000
_TICK = b'"day_closed"'
_Sent = TypeVar("_Sent", Action, Label)


class UnknownBorrowerError(ValueError):
    """No state of such a borrower is in the account table."""


@dataclass(frozen=True)
class BorrowerHistory:
    """A borrower as the topics tell it.

    `state` is the newest row of the account table, `rows` the older ones that compaction has left, oldest first.
    `begins` is None when the timeline starts with the first loan's opening, else the time from which on it is told.
    """

    state: BorrowerState
    rows: list[BorrowerState]
    timeline: Timeline
    begins: datetime | None
    actions: list[Action]
    labels: list[Label]


async def read_history(
    kafka: Connection,
    application: str,
    rules: Rules,
    borrower_id: str,
    most: int,
    row_at: TopicPartition | None = None,
    row_offset: int = 0,
) -> BorrowerHistory:
    """Read a borrower's state and what led to it.

    Of each partition of events, actions and labels the newest `most` records are searched. The whole changelog is
    searched for the state, unless the caller knows where the newest row stands. Raises `UnknownBorrowerError`,
    `TopicError` if a topic is missing, `BrokerAwayError` without Kafka, and aiokafka's errors if it goes away.
    """
    key = borrower_id.encode()
    changelog = await partitions_of(kafka, changelog_name(application))
    others = await partitions_of(kafka, ACTIONS, LABELS)
    consumer = kafka.consumer(auto_offset_reset="earliest")
    try:
        await kafka.start(consumer)
        rows = await _rows(consumer, changelog, key, most, row_at, row_offset)
        if not rows:
            raise UnknownBorrowerError(f"no borrower {borrower_id} is known: ids are case-sensitive")
        state = max(rows, key=lambda row: row.applied_offset)
        found = await _scan(
            consumer,
            await newest(consumer, [TopicPartition(EVENTS, state.partition), *others], most),
            lambda m: m.key == key or (m.topic == EVENTS and (m.key is None or _TICK in (m.value or b""))),
            _MOST_RECORDS,
        )
    finally:
        await consumer.stop()
    records = [as_record(message) for message in found if message.topic == EVENTS]
    # In a thread, so that a long past does not hold up whoever else is served.
    timeline, begins = await asyncio.to_thread(_timeline, borrower_id, records, rows, state, rules)
    return BorrowerHistory(
        state=state,
        rows=rows,
        timeline=timeline,
        begins=begins,
        actions=list({each.action_id: each for each in _valid(Action, found, ACTIONS)}.values()),
        labels=list({(each.origin_partition, each.order): each for each in _valid(Label, found, LABELS)}.values()),
    )


def _timeline(
    borrower_id: str, records: list[Record], rows: list[BorrowerState], state: BorrowerState, rules: Rules
) -> tuple[Timeline, datetime | None]:
    timeline = retell(borrower_id, records, None, rules)
    opened = {past.event.loan_id for past in timeline.events if isinstance(past.event, LoanOpened)}
    if opened >= {loan.loan_id for loan in state.account.loans}:
        return _until(state, timeline), None
    # An opening lies before what was searched: the oldest state that is left tells how things stood then.
    oldest = min(rows, key=lambda row: row.applied_offset)
    since = [record.timestamp_ms for record in records if record.offset > oldest.applied_offset]
    begins = time_of(since[0]) if since else datetime.now(UTC)
    return _until(state, retell(borrower_id, records, oldest, rules)), begins


def _until(state: BorrowerState, timeline: Timeline) -> Timeline:
    """Events are read a moment after the state: days that it has not reached yet are left for the next reading."""
    return timeline._replace(days=[point for point in timeline.days if point.day <= state.account.as_of])


async def _rows(
    consumer: AIOKafkaConsumer,
    changelog: list[TopicPartition],
    key: bytes,
    most: int,
    at: TopicPartition | None,
    offset: int,
) -> list[BorrowerState]:
    if at is None:
        starts = await consumer.beginning_offsets(changelog)
    else:
        starts = {at: min(offset, (await newest(consumer, [at], most))[at])}
    claims = Claims()

    def is_row(m: ConsumerRecord) -> bool:
        verdict = claims.judge(m.partition, m.offset, m.key, m.value, m.headers)
        return verdict is Verdict.COUNTS and m.key == key

    rows: list[BorrowerState] = []
    for message in await _scan(consumer, starts, is_row, _MOST_ROWS):
        if message.value is None:
            rows.clear()
            continue
        try:
            rows.append(decode_state(message.value))
        except msgspec.MsgspecError:
            note_foreign(message, "it is no borrower's state")
    return rows


async def _scan(
    consumer: AIOKafkaConsumer,
    starts: Mapping[TopicPartition, int],
    wanted: Callable[[ConsumerRecord], bool],
    most: int,
) -> list[ConsumerRecord]:
    """The newest `most` wanted records of each topic from the starts to where the partitions end now."""
    found: dict[str, deque[ConsumerRecord]] = {part.topic: deque(maxlen=most) for part in starts}
    async for message in read_to_end(consumer, starts):
        if wanted(message):
            found[message.topic].append(message)
    return [message for each in found.values() for message in each]


def _valid(kind: type[_Sent], found: list[ConsumerRecord], topic: str) -> list[_Sent]:
    valid: list[_Sent] = []
    for message in found:
        if message.topic == topic:
            try:
                valid.append(kind.model_validate_json(message.value or b""))
            except ValidationError as error:
                note_foreign(message, f"{error.error_count()} fields are wrong")
    return valid
