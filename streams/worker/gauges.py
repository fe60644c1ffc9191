"""What a worker's gauges tell of the partitions it owns, and only of those: another worker tells of the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable

from aiokafka import TopicPartition

from monitoring import metrics
from streams.contracts.money import MINOR_UNITS
from streams.contracts.topics import EVENTS
from streams.contracts.vocabulary import Segment
from streams.decide import Engine
from streams.kafka.connection import Connection
from streams.kafka.retry import retried

_log = logging.getLogger(__name__)
_LAG_SECONDS = 1.0
_OF_PARTITIONS = (
    metrics.LAG,
    metrics.STATE_ROWS,
    metrics.STATE_BYTES,
    metrics.BORROWERS,
    metrics.SEGMENTS,
    metrics.ARREARS,
)


class PartitionGauges:
    """The gauges of one worker, from the gain of its partitions to their loss."""

    def __init__(self, kafka: Connection, next_offset: Callable[[int], int]) -> None:
        self._kafka = kafka
        self._next_offset = next_offset
        self._owned: frozenset[int] = frozenset()
        self._rows: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()
        self._waiting_since = time.monotonic()

    def lost(self) -> None:
        """The partitions may be another worker's from now on."""
        self._owned = frozenset()
        self._waiting_since = time.monotonic()
        metrics.READY.set(0)
        for gauge in _OF_PARTITIONS:
            gauge.clear()

    def begin(self) -> None:
        """The table is read anew: its rows follow by `row`."""
        self._rows.clear()
        self._bytes.clear()

    def recovered(self, owned: Iterable[int], engine: Engine) -> None:
        """The state of these partitions is loaded."""
        self._owned = frozenset(owned)
        metrics.RECOVERY_SECONDS.set(time.monotonic() - self._waiting_since)
        metrics.READY.set(1)
        self.show(engine)

    def row(self, partition: int, new: bytes, old: bytes | None) -> None:
        """A row of the table stands as `new` where `old` stood."""
        self._rows[partition] += old is None
        self._bytes[partition] += len(new) - len(old or b"")

    def show(self, engine: Engine) -> None:
        """Set the gauges of portfolio and state, unless the partitions were just lost."""
        if not self._owned:
            return
        for (bucket, strategy), count in engine.portfolio.items():
            metrics.BORROWERS.labels(bucket, strategy.value).set(count)
        for segment in Segment:
            metrics.SEGMENTS.labels(segment.value).set(engine.segments[segment])
        for bucket, arrears in engine.arrears_minor.items():
            metrics.ARREARS.labels(bucket).set(arrears / MINOR_UNITS)
        for partition in self._owned:
            metrics.STATE_ROWS.labels(partition).set(self._rows[partition])
            metrics.STATE_BYTES.labels(partition).set(self._bytes[partition])

    async def follow_lag(self) -> None:
        """Compare with the ends of the topic until cancelled: Kafka's own, so that a stream that stands still shows."""
        # That Kafka is away is said by `BrokerWatch`.
        await retried(self._follow, lambda error: _log.debug("the lag is not known, trying again: %s", error))

    async def _follow(self) -> None:
        consumer = self._kafka.consumer()
        try:
            await consumer.start()
            while True:
                ends = await consumer.end_offsets([TopicPartition(EVENTS, each) for each in self._owned])
                # What was lost while Kafka answered is no longer this worker's to tell of.
                for tp, end in ends.items():
                    if tp.partition in self._owned:
                        metrics.LAG.labels(tp.partition).set(max(end - self._next_offset(tp.partition), 0))
                await asyncio.sleep(_LAG_SECONDS)
        finally:
            await consumer.stop()
