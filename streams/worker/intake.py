"""Events taken out of Faust's consumer as they are fetched: runs of records, not one message at a time.

Faust carries each message through two tasks, a queue, a stream and an acknowledgement of its own, which costs more than
all that is decided with it. Group membership, assignment, seeking, the table's recovery and its standby copies stay
Faust's; only records of the events topic leave its path here, and the worker commits their offsets itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from faust.transport.drivers import aiokafka
from faust.types import TP

from streams.consume import Intake, Run
from streams.contracts.topics import EVENTS
from streams.kafka.reader import as_record

# A rebalance waits for the fetch in flight.
_FETCH_SECONDS = 0.25


class IntakeConsumer(aiokafka.Consumer):  # type: ignore[misc]
    """Faust's consumer, which gives the records of the events topic to the app's `intake`.

    What a fetch brings across a rebalance is dropped, but the client has moved past it; and Faust's own seek moves only
    partitions that have a commit. So a worker that takes over partitions calls `stand_at` before anything is fetched.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._no_fetch = asyncio.Event()
        self._no_fetch.set()

    async def stand_at(self, committed: Mapping[int, int], partitions: Iterable[int]) -> None:
        """Stop the flow, let a fetch in flight end, and read next at the commits, or at the beginning without one.

        Faust sets the flow going again. Raises `IllegalStateError` if the partitions have been given away meanwhile.
        """
        self.stop_flow()
        await self._no_fetch.wait()
        tps = [TP(EVENTS, partition) for partition in partitions]
        begins = await self.earliest_offsets(*tps) if tps else {}
        await self.seek_wait({tp: committed.get(tp.partition, begins[tp]) for tp in tps})

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
        for tp in [tp for tp in fetched if tp.topic == EVENTS]:
            records = fetched.pop(tp)
            if is_current:
                intake.put(Run(tp.partition, generation, [as_record(each) for each in records]))
        return fetched

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's alarm about streams that stand still would always ring; riskmon's own watches the lag."""


class IntakeTransport(aiokafka.Transport):  # type: ignore[misc]
    """Faust's way to Kafka with that consumer."""

    Consumer = IntakeConsumer
