"""Hostile messages through a real broker and a real worker: it never stops, and every one is accounted for."""

import asyncio
from pathlib import Path

from monitoring.terminal.scrape import scrape
from producers.faults import OutgoingRecord
from producers.publisher import publish
from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.topics import EVENTS
from streams.kafka.admin import ensure_topics
from tests.support.factories import opened
from tests.support.hostile import POISON, hostile_messages
from tests.support.oracle import assert_as_uninterrupted
from tests.support.processes import environment, running, wait_for_commit

# With key and record overhead this just fits into what Kafka takes by default; its dead letter is larger.
_LARGEST = b"x" * 1_048_450


async def test_hostile_messages_stop_nothing_and_the_sums_add_up(
    own_broker: LocalBroker, model: Path, tmp_path: Path, long: bool
) -> None:
    kafka, log = own_broker.connection, tmp_path / "worker.log"
    await ensure_topics(kafka, "riskmon", 4, 1)
    messages: list[tuple[bytes | None, bytes]]
    messages = [(b"B1", opened().to_json()), *((b"B1", value) for value in POISON), (b"B1", _LARGEST)]
    messages += await asyncio.to_thread(hostile_messages, 50_000 if long else 2_500)
    published = await publish(kafka, EVENTS, [OutgoingRecord(None, key, value) for key, value in messages])
    with running("worker", environment(kafka, model, tmp_path), log) as worker:
        await wait_for_commit(kafka, published.count, worker)
        samples = await asyncio.to_thread(scrape, worker.metrics_port, None)
    counts = {
        name: sum(value for (each, _), value in samples.items() if each == f"riskmon_{name}_total")
        for name in ("events", "duplicate_events", "dead_letters")
    }
    assert sum(counts.values()) == published.count
    _, refused = await assert_as_uninterrupted(kafka, model)
    assert len(refused) == counts["dead_letters"] > len(POISON)
