"""Where the topics hold anything of one borrower, and until when: what an erasure leaves behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.account.changelog import Claims, Verdict
from streams.contracts.topics import ACTIONS, DEADLETTER, EVENTS, LABELS, changelog_name
from streams.kafka.admin import partitions_of
from streams.kafka.connection import Connection
from streams.kafka.reader import newest, read_to_end

# Kafka looks for what has expired every five minutes.
_CHECK_MS = 300_000
_KEPT = (EVENTS, ACTIONS, LABELS, DEADLETTER)


@dataclass(frozen=True)
class Trace:
    """What a topic holds of the borrower.

    `messages` were found among those searched, the newest of them written at `written_at`. Kafka has deleted all of
    them by `gone_by`; None says that the topic's configuration sets no such time.
    """

    topic: str
    messages: int
    searched_all: bool
    written_at: datetime | None
    gone_by: datetime | None


@dataclass(frozen=True)
class Traces:
    """Everything of a borrower: rows of the state, what else the topics hold, and events that no worker has applied.

    `rows` are the changelog's partitions on which the newest row is no tombstone; `replaced` counts rows that stand
    before a newer one or a tombstone, which compaction removes by `replaced_gone_by`.
    """

    rows: tuple[int, ...]
    replaced: int
    replaced_gone_by: datetime | None
    topics: tuple[Trace, ...]
    unapplied: int

    @property
    def is_unknown(self) -> bool:
        """Whether there is nothing of such a borrower."""
        return not (self.rows or self.replaced or any(trace.messages for trace in self.topics))


async def find_traces(
    kafka: Connection, application: str, borrower_id: str, most: int, committed: Mapping[TopicPartition, int]
) -> Traces:
    """Search the whole changelog, and of each other partition the newest `most` messages.

    `committed` are the offsets to which the workers have applied the events. Raises `TopicError` if a topic is
    missing, `BrokerAwayError` without Kafka.
    """
    now = datetime.now(UTC)
    changelog = changelog_name(application)
    parts = await partitions_of(kafka, changelog, *_KEPT)
    configs = await _configs(kafka, [changelog, *_KEPT])
    consumer = kafka.consumer(auto_offset_reset="earliest")
    await kafka.start(consumer)
    try:
        begins = await consumer.beginning_offsets(parts)
        starts = await newest(consumer, parts, most)
        starts |= {part: begins[part] for part in parts if part.topic == changelog}
        found: list[ConsumerRecord] = []
        judge = Claims()
        async for message in read_to_end(consumer, starts):
            if message.topic == changelog and not _counts(judge, message):
                continue
            if names(message, borrower_id):
                found.append(message)
    finally:
        await consumer.stop()
    of_state = [message for message in found if message.topic == changelog and message.key == borrower_id.encode()]
    last = {message.partition: message for message in of_state}
    living = tuple(number for number, message in sorted(last.items()) if message.value is not None)
    return Traces(
        rows=living,
        replaced=sum(message.value is not None for message in of_state) - len(living),
        replaced_gone_by=_after(now, configs[changelog], "max.compaction.lag.ms"),
        topics=tuple(
            _trace(topic, found, now, configs[topic], searched_all=_searched_all(topic, starts, begins))
            for topic in _KEPT
        ),
        unapplied=sum(
            message.topic == EVENTS and message.offset >= committed.get(TopicPartition(EVENTS, message.partition), 0)
            for message in found
        ),
    )


def names(message: ConsumerRecord, borrower_id: str) -> bool:
    """Whether a message is the borrower's: by its key, or by its text where the key is another's or damaged."""
    if message.key == borrower_id.encode():
        return True
    quoted = json.dumps(borrower_id).encode()
    return message.topic != ACTIONS and quoted in (message.value or b"")


def _counts(judge: Claims, m: ConsumerRecord) -> bool:
    return judge.judge(m.partition, m.offset, m.key, m.value, m.headers) is Verdict.COUNTS


def _searched_all(topic: str, starts: Mapping[TopicPartition, int], begins: Mapping[TopicPartition, int]) -> bool:
    return all(start <= begins[part] for part, start in starts.items() if part.topic == topic)


def _trace(
    topic: str, found: list[ConsumerRecord], now: datetime, config: Mapping[str, str], *, searched_all: bool
) -> Trace:
    messages = [message for message in found if message.topic == topic]
    written = max((datetime.fromtimestamp(_seconds(m), UTC) for m in messages), default=None)
    # What was not searched is older than what was, so the newest one found expires last.
    gone_by = _after(written or now, config, "retention.ms", "segment.ms") if messages or not searched_all else now
    return Trace(topic, len(messages), searched_all, written, gone_by)


def _seconds(message: ConsumerRecord) -> float:
    """A time stamp may be a producer's nonsense on topics that were not made by riskmon."""
    latest = datetime.max.replace(tzinfo=UTC).timestamp() - 86_400
    return float(min(max(message.timestamp / 1000, 0.0), latest))


def _after(moment: datetime, config: Mapping[str, str], *names: str) -> datetime | None:
    """The moment plus these settings of the topic; None where one of them is without a limit."""
    spans = [int(config.get(name, "-1")) for name in names]
    if min(spans) < 0:
        return None
    try:
        return moment + timedelta(milliseconds=sum(spans) + _CHECK_MS)
    except OverflowError:
        return None


async def _configs(kafka: Connection, topics: list[str]) -> dict[str, dict[str, str]]:
    """Each topic's configuration; empty where this user may not read it."""
    admin = kafka.admin()
    try:
        await kafka.start(admin)
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in topics])
    finally:
        await admin.close()
    return {name: {} for name in topics} | {
        name: {entry[0]: entry[1] for entry in entries}
        for answer in answers
        for _, _, _, name, entries in answer.resources
    }
