"""Reading topics as a bystander, without a consumer group: the one reader to where a topic ends now.

Any topic may hold messages that are not riskmon's: every reader passes these over, and counts them (`note_foreign`).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from monitoring import metrics
from streams.contracts.actions import Action
from streams.contracts.printable import printable
from streams.contracts.records import Record, Unreadable
from streams.contracts.topics import ACTIONS
from streams.kafka.admin import partitions_of
from streams.kafka.connection import Connection
from streams.kafka.unreadable import UnreadableRecord

_log = logging.getLogger(__name__)
_MOST_WHY = 300


def as_record(message: ConsumerRecord) -> Record:
    """A message as the core wants it."""
    unreadable = None
    if message.value is None and isinstance(message, UnreadableRecord):
        unreadable = Unreadable(message.reason, message.detail)
    return Record(message.partition, message.offset, message.key, message.value, message.timestamp, unreadable)


def note_foreign(message: ConsumerRecord, why: str) -> None:
    """Count and tell a message of a riskmon topic that riskmon cannot have written, or not this version of it."""
    metrics.FOREIGN.labels(message.topic).inc()
    _log.warning(
        "%s-%d@%d is not riskmon's and is passed over: %s",
        message.topic,
        message.partition,
        message.offset,
        printable(why[:_MOST_WHY]),
    )


async def newest(consumer: AIOKafkaConsumer, parts: Collection[TopicPartition], most: int) -> dict[TopicPartition, int]:
    """Where to begin so as to read the newest `most` offsets of each partition."""
    begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
    return {part: max(begins[part], ends[part] - most) for part in parts}


async def read_to_end(
    consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int]
) -> AsyncIterator[ConsumerRecord]:
    """Every message from the starts to where the partitions end now, in order within a partition.

    The consumer is without a group; it may have fetched more than is given here.
    """
    parts = list(starts)
    consumer.assign(parts)
    for part, offset in starts.items():
        consumer.seek(part, offset)
    ends = await consumer.end_offsets(parts) if parts else {}
    while any([await consumer.position(part) < end for part, end in ends.items()]):
        for part, messages in (await consumer.getmany(timeout_ms=200)).items():
            for message in messages:
                if message.offset < ends[part]:
                    yield message


async def read_topic(kafka: Connection, topic: str, *, follow: bool) -> AsyncIterator[ConsumerRecord]:
    """Every message, oldest first within a partition; ends at what is now the end of the topic unless `follow`.

    Raises `BrokerAwayError` without Kafka, `TopicError` if there is no such topic.
    """
    parts = await partitions_of(kafka, topic)
    consumer = kafka.consumer(auto_offset_reset="earliest")
    await kafka.start(consumer)
    try:
        begins = await consumer.beginning_offsets(parts)
        if not follow:
            async for message in read_to_end(consumer, begins):
                yield message
            return
        consumer.assign(parts)
        for part, offset in begins.items():
            consumer.seek(part, offset)
        while True:
            for messages in (await consumer.getmany(timeout_ms=500)).values():
                for message in messages:
                    yield message
    finally:
        await consumer.stop()


async def read_actions(kafka: Connection, *, follow: bool) -> AsyncIterator[Action]:
    """Every action once, though the topic may hold it twice; what is no action is passed over and told."""
    seen: set[str] = set()
    async for message in read_topic(kafka, ACTIONS, follow=follow):
        try:
            action = Action.model_validate_json(message.value or b"")
        except ValidationError as error:
            note_foreign(message, f"no action: {error.error_count()} fields are wrong")
            continue
        if action.action_id not in seen:
            seen.add(action.action_id)
            yield action
