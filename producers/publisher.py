"""Publishing to Kafka: idempotent, acknowledged by all in-sync replicas, at a chosen rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from producers.faults import FaultConfig, FaultTally, OutgoingRecord, inject
from producers.simulator.simulate import SimulationConfig, simulate
from streams.kafka.connection import Connection

_CHUNK = 500
_TICK_SECONDS = 0.05


@dataclass(frozen=True)
class Published:
    """How many messages were acknowledged, and how long it took."""

    count: int
    seconds: float


def simulated_records(simulation: SimulationConfig, faults: FaultConfig, tally: FaultTally) -> Iterator[OutgoingRecord]:
    """The simulation's messages with the faults among them; `tally` counts the faults."""
    return inject(simulate(simulation), faults, tally)


async def publish(
    kafka: Connection,
    topic: str,
    records: Iterable[OutgoingRecord],
    *,
    rate: float = 0,
    progress: Callable[[int], None] | None = None,
) -> Published:
    """Publish all records in order; `rate` is messages a second, 0 as fast as it goes.

    Returns when every message is acknowledged; `progress` is called with the count so far. Raises
    `BrokerAwayError` if no broker answers at the start.
    """
    producer = kafka.producer(linger_ms=5)
    await kafka.start(producer)
    started = time.monotonic()
    count = 0
    source = iter(records)
    try:
        while True:
            allowed = _CHUNK if not rate else max(int(rate * (time.monotonic() - started)) + 1 - count, 0)
            sent = [
                await producer.send(topic, record.value, record.key, partition=record.partition)
                for record in islice(source, min(allowed, _CHUNK))
            ]
            if allowed and not sent:
                break
            await asyncio.gather(*sent)
            count += len(sent)
            if progress:
                progress(count)
            if rate:
                await asyncio.sleep(_TICK_SECONDS)
    finally:
        await producer.stop()
    return Published(count, time.monotonic() - started)
