"""Holes in what a partition delivers: a record that is skipped must be found out before a later one is applied.

A state says which offset it holds, and takes what is older as applied. That is only true if records come without
a hole, so a hole is looked into before anything behind it is processed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka.connection import Connection

_LOOK_SECONDS = 10.0


class SkippedRecordsError(RuntimeError):
    """Records were skipped on their way to the worker; a restart reads them again from the committed offset."""


class UnknownHoleError(RuntimeError):
    """Kafka did not say in time what a hole holds; a restart asks again."""


class HoleContent(NamedTuple):
    """What a hole is: offsets that Kafka no longer has, and whether it has a record in the others."""

    expired: range
    holds_record: bool


class Continuity:
    """The offset that each partition should deliver next."""

    def __init__(self, next_offsets: Mapping[int, int]) -> None:
        self._next = dict(next_offsets)

    def next_offset(self, partition: int) -> int:
        """The offset that should come next; 0 where nothing is known."""
        return self._next.get(partition, 0)

    def hole(self, partition: int, read: range) -> range:
        """The offsets that are missing before those that were `read` now; empty where they follow on."""
        expected = self.next_offset(partition)
        self._next[partition] = max(expected, read.stop)
        return range(expected, read.start)


async def look_into(
    kafka: Connection, tp: TopicPartition, hole: range, within_seconds: float = _LOOK_SECONDS
) -> HoleContent:
    """What Kafka has in a hole. Markers of transactions and what was aborted are nothing.

    Raises `UnknownHoleError` if Kafka does not say so in time.
    """
    try:
        async with asyncio.timeout(within_seconds):
            return await _look_into(kafka, tp, hole)
    except (TimeoutError, KafkaError) as error:
        raise UnknownHoleError(
            f"{tp.topic} {tp.partition}: what stands between offsets {hole.start} and {hole.stop} could not be read: "
            f"{str(error) or 'no answer in time'}"
        ) from error


async def _look_into(kafka: Connection, tp: TopicPartition, hole: range) -> HoleContent:
    consumer = kafka.consumer(auto_offset_reset="none")
    try:
        await consumer.start()
        consumer.assign([tp])
        begin = (await consumer.beginning_offsets([tp]))[tp]
        expired = range(hole.start, max(min(hole.stop, begin), hole.start))
        # What is not decided yet cannot have been delivered, and what comes behind it neither.
        stop = min(hole.stop, (await consumer.end_offsets([tp]))[tp])
        if expired.stop >= stop:
            return HoleContent(expired, holds_record=False)
        consumer.seek(tp, expired.stop)
        while await consumer.position(tp) < stop:
            for records in (await consumer.getmany(tp, timeout_ms=500)).values():
                return HoleContent(expired, records[0].offset in hole)
        return HoleContent(expired, holds_record=False)
    finally:
        await consumer.stop()
