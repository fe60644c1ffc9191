"""The job as most would write it first: an aiokafka loop, a dict, one `predict_proba` an event."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.rivals.by_event import ByEvent, book_with_sklearn
from streams.contracts.records import Record
from streams.contracts.topics import ACTIONS, DEADLETTER, EVENTS, LABELS

_TOPICS = {"action": ACTIONS, "label": LABELS}


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--material", type=Path, required=True)
    parser.add_argument("--group", required=True)
    options = parser.parse_args()
    asyncio.run(_run(options.bootstrap, options.group, options.material))


async def _run(bootstrap: str, group: str, material: Path) -> None:
    rows: dict[str, bytes] = {}
    by_event = ByEvent(book_with_sklearn(material), rows.get)
    consumer = AIOKafkaConsumer(
        EVENTS,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=500,
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    async with consumer, producer:
        async for message in consumer:
            record = Record(message.partition, message.offset, message.key, message.value, message.timestamp)
            result = by_event.decide(record)
            rows.update({key: row for key, (_, row) in result.rows.items()})
            for letter in result.dead_letters:
                await producer.send(DEADLETTER, letter.record.value, letter.record.key)
            for _, sent in result.outgoing:
                await producer.send(_TOPICS[sent.kind], sent.value, sent.key)


if __name__ == "__main__":
    main()
