"""Holes in what a partition delivers: a record that is skipped must be found out before a later one is applied.

A state says which offset it holds, and takes what is older as applied. That is only true if records come without
a hole, so a hole is looked into before anything behind it is processed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiokafka import TopicPartition

from streams.kafka.connection import Connection


class SkippedRecordsError(RuntimeError):
    """Records were skipped on their way to the worker; a restart reads them again from the committed offset."""


class Continuity:
    """The offset that each partition should deliver next."""

    def __init__(self, next_offsets: Mapping[int, int]) -> None:
        self._next = dict(next_offsets)

    def next_offset(self, partition: int) -> int:
        """The offset that should come next; 0 before the first commit."""
        return self._next.get(partition, 0)

    def holes(self, partition: int, offsets: Sequence[int]) -> list[range]:
        """The offsets missing before and between these, which are delivered now; none where they follow on."""
        expected = self.next_offset(partition)
        self._next[partition] = max(expected, offsets[-1] + 1)
        if offsets[0] <= expected and offsets[-1] - offsets[0] == len(offsets) - 1:
            return []
        missing: list[range] = []
        for offset in offsets:
            if offset > expected:
                missing.append(range(expected, offset))
            expected = max(expected, offset + 1)
        return missing


async def holds_records(kafka: Connection, tp: TopicPartition, hole: range) -> bool:
    """Whether Kafka still has a record in the hole; transaction markers and expired records leave empty ones."""
    consumer = kafka.consumer(auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([tp])
        if (await consumer.end_offsets([tp]))[tp] <= hole.start:
            return False
        consumer.seek(tp, hole.start)
        found: int = (await consumer.getone()).offset
        return found in hole
    finally:
        await consumer.stop()
