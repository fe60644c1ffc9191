"""Events taken out of Faust's consumer as they are fetched: runs of records, not one message at a time.

Faust carries each message through two tasks, a queue, a stream and an acknowledgement of its own, which costs more than
all that is decided with it. Group membership, assignment, seeking, the table's recovery and its standby copies stay
Faust's; only records of the events topic leave its path here, and the worker commits their offsets itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from aiokafka.consumer.fetcher import FetchResult
from faust.transport.drivers import aiokafka
from faust.types import TP

from streams.consume import Intake, Run
from streams.contracts.topics import EVENTS
from streams.kafka.reader import as_record
from streams.kafka.unreadable import ReadableRecords

# A rebalance waits for the fetch in flight.
_FETCH_SECONDS = 0.25


class IntakeThread(aiokafka.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's thread with the client: it reads what is committed only, and tells how far each fetch has read."""

    # What the last fetch has read of the events topic; only its visible records were handed out.
    spans: Mapping[TP, range] = MappingProxyType({})

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust sets this with transactions of its own only.
        consumer._isolation_level = "read_committed"
        return consumer

    async def _fetch_records(
        self, consumer: Any, active_partitions: set[TP], timeout: float | None = None, max_records: int | None = None
    ) -> Any:
        self.spans = {}
        fetcher = consumer._fetcher
        if self.consumer.flow_active and not any(tp in active_partitions for tp in fetcher._records):
            await self._more(fetcher, timeout)
        reads = {tp: read for tp, read in _reads(fetcher) if tp.topic == EVENTS}
        starts = {tp: read.next_fetch_offset for tp, read in reads.items()}
        # Whatever is here now is handed out before anything else happens.
        fetched = await super()._fetch_records(consumer, active_partitions, 0, max_records)
        self.spans = {tp: span for tp in reads if (span := range(starts[tp], reads[tp].next_fetch_offset))}
        return fetched

    async def _more(self, fetcher: Any, timeout: float | None) -> None:
        """Wait for a fetch, so long at most. Raises what the group's coordinator has to say."""
        waiter = fetcher._create_fetch_waiter()
        done, _ = await asyncio.wait([waiter], timeout=timeout)
        if not done:
            waiter.cancel()
        for each in done:
            each.result()


def _reads(fetcher: Any) -> Iterator[tuple[TP, ReadableRecords]]:
    for tp, fetched in fetcher._records.items():
        if isinstance(fetched, FetchResult) and isinstance(fetched._partition_records, ReadableRecords):
            yield tp, fetched._partition_records


class IntakeConsumer(aiokafka.Consumer):  # type: ignore[misc]
    """Faust's consumer, which gives the records of the events topic to the app's `intake`.

    What a fetch brings across a rebalance is dropped, but the client has moved past it; and Faust's own seek moves only
    partitions that have a commit. So a worker that takes over partitions calls `stand_at` before anything is fetched.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._no_fetch = asyncio.Event()
        self._no_fetch.set()

    def _new_consumer_thread(self) -> IntakeThread:
        return IntakeThread(self, loop=self.loop, beacon=self.beacon)

    async def stand_at(self, next_offsets: Mapping[int, int]) -> None:
        """Stop the flow, let a fetch in flight end, and read on at these offsets by partition.

        Faust sets the flow going again. Raises `IllegalStateError` if the partitions have been given away meanwhile.
        """
        self.stop_flow()
        await self._no_fetch.wait()
        await self.seek_wait({TP(EVENTS, partition): offset for partition, offset in next_offsets.items()})

    async def seek_wait(self, partitions: Mapping[TP, int | None]) -> None:
        """Seek, and read from its beginning what has no offset: so Faust asks when rebalances follow closely."""
        await super().seek_wait({tp: max(offset or 0, 0) for tp, offset in partitions.items()})

    async def _getmany(self, active_partitions: set[TP], timeout: float) -> dict[TP, list[Any]]:
        intake: Intake = self.app.intake
        # A copy: Faust empties its set while a fetch waits, and to the client an empty one means all partitions.
        wanted = {tp for tp in active_partitions if tp.topic != EVENTS or not intake.is_full(tp.partition)}
        if not wanted:
            await intake.drained(timeout)
            return {}
        generation = self.app.consumer_generation_id
        self._no_fetch.clear()
        try:
            fetched: dict[TP, list[Any]] = await super()._getmany(wanted, min(timeout, _FETCH_SECONDS))
        finally:
            self._no_fetch.set()
        is_current = self.flow_active and generation == self.app.consumer_generation_id
        for tp, span in self._thread.spans.items():
            records = [as_record(each) for each in fetched.pop(tp, ())]
            if is_current:
                intake.put(Run(tp.partition, generation, records, span.start, span.stop))
        return fetched

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's alarm about streams that stand still would always ring; riskmon's own watches the lag."""


class IntakeTransport(aiokafka.Transport):  # type: ignore[misc]
    """Faust's way to Kafka with that consumer."""

    Consumer = IntakeConsumer
