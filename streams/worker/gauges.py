"""What a worker's gauges tell of the partitions it owns, and only of those: another worker tells of the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date

from aiokafka import TopicPartition

from monitoring import metrics
from streams.contracts.money import MINOR_UNITS
from streams.contracts.topics import EVENTS
from streams.contracts.vocabulary import Segment
from streams.decide import Engine
from streams.kafka.connection import Connection
from streams.kafka.retry import retried
from streams.kafka.topic_state import LogSpan, spans_of

_log = logging.getLogger(__name__)
_LAG_SECONDS = 1.0
_OF_PARTITIONS = (
    metrics.LAG,
    metrics.STATE_ROWS,
    metrics.STATE_BYTES,
    metrics.BORROWERS,
    metrics.SEGMENTS,
    metrics.ARREARS,
    metrics.BUSINESS_DAY,
    metrics.OPEN_TRANSACTION_SECONDS,
)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_SECONDS = 86_400


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
            day = engine.memory.clock(partition).day
            metrics.BUSINESS_DAY.labels(partition).set((day - _EPOCH_DAY) * _DAY_SECONDS if day else 0)

    async def follow_lag(self) -> None:
        """Compare with the ends of the topic until cancelled: Kafka's own, so that a stream that stands still shows."""
        # That Kafka is away is said by `BrokerWatch`.
        await retried(self._follow, lambda error: _log.debug("the lag is not known, trying again: %s", error))

    async def _follow(self) -> None:
        committed, all_records = self._kafka.consumer(), self._kafka.consumer(isolation_level="read_uncommitted")
        held = HeldSince()
        try:
            await committed.start()
            await all_records.start()
            while True:
                parts = [TopicPartition(EVENTS, each) for each in self._owned]
                logs = await spans_of(committed, all_records, parts)
                # What was lost while Kafka answered is no longer this worker's to tell of.
                for tp, log in logs.items():
                    if tp.partition in self._owned:
                        metrics.LAG.labels(tp.partition).set(max(log.stable - self._next_offset(tp.partition), 0))
                        seconds = held.seconds(tp.partition, log, time.monotonic())
                        metrics.OPEN_TRANSACTION_SECONDS.labels(tp.partition).set(seconds)
                await asyncio.sleep(_LAG_SECONDS)
        finally:
            await committed.stop()
            await all_records.stop()


class HeldSince:
    """Since when the readable end of each partition stands still before what an open transaction holds."""

    def __init__(self) -> None:
        self._since: dict[int, tuple[int, float]] = {}

    def seconds(self, partition: int, log: LogSpan, now: float) -> float:
        """For how long by now; 0 while nothing is held."""
        if not log.is_held:
            self._since.pop(partition, None)
            return 0.0
        stable, since = self._since.get(partition, (log.stable, now))
        if stable != log.stable:
            # One transaction has ended, and another is open.
            since = now
        self._since[partition] = (log.stable, since)
        return now - since
