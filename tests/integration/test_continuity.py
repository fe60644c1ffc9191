"""What a hole in the delivered offsets is, on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete

from streams.command.local_kafka.broker import LocalBroker
from streams.kafka.connection import Connection
from streams.kafka.continuity import HoleContent, UnknownHoleError, look_into


async def new_topic(kafka: Connection) -> TopicPartition:
    tp = TopicPartition(f"continuity-{uuid4().hex[:8]}", 0)
    admin = kafka.admin()
    await admin.start()
    await admin.create_topics([NewTopic(tp.topic, 1, 1)])
    await admin.close()
    return tp


async def transaction(kafka: Connection, tp: TopicPartition, *values: bytes, commit: bool) -> None:
    async with kafka.producer(transactional_id=uuid4().hex) as producer:
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(tp.topic, value, partition=tp.partition)
        await (producer.commit_transaction() if commit else producer.abort_transaction())


@asynccontextmanager
async def open_transaction(kafka: Connection, tp: TopicPartition, value: bytes) -> AsyncIterator[AIOKafkaProducer]:
    async with kafka.producer(transactional_id=uuid4().hex) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(tp.topic, value, partition=tp.partition)
        yield producer
        await producer.abort_transaction()


async def look(kafka: Connection, tp: TopicPartition, hole: range) -> tuple[int, bool]:
    """Expired offsets, and whether it holds a record; in a few seconds, whatever stands behind the hole."""
    content = await asyncio.wait_for(look_into(kafka, tp, hole), 8)
    return len(content.expired), content.holds_record


async def test_a_transaction_marker_is_an_empty_hole_and_a_record_is_not(broker: LocalBroker) -> None:
    kafka = broker.connection
    tp = await new_topic(kafka)
    for value in (b"first", b"second"):
        await transaction(kafka, tp, value, commit=True)
    # 0 first, 1 marker, 2 second, 3 marker
    assert await look(kafka, tp, range(2)) == (0, True)
    assert await look(kafka, tp, range(1, 2)) == (0, False)
    assert await look(kafka, tp, range(1, 3)) == (0, True)


async def test_a_hole_with_nothing_committed_behind_it_is_looked_into_and_left(broker: LocalBroker) -> None:
    kafka = broker.connection
    tp = await new_topic(kafka)
    await transaction(kafka, tp, b"first", commit=True)
    assert await look(kafka, tp, range(1, 2)) == (0, False)
    assert await look(kafka, tp, range(1, 9)) == (0, False)
    assert await look(kafka, tp, range(5, 9)) == (0, False)
    await transaction(kafka, tp, b"never", b"meant", commit=False)
    # 2 and 3 were aborted, 4 is the marker
    assert await look(kafka, tp, range(1, 5)) == (0, False)
    assert await look(kafka, tp, range(2, 3)) == (0, False)
    async with open_transaction(kafka, tp, b"perhaps"):
        assert await look(kafka, tp, range(1, 5)) == (0, False)
        assert await look(kafka, tp, range(1, 6)) == (0, False)


async def test_what_was_deleted_is_told_from_what_is_empty(broker: LocalBroker) -> None:
    kafka = broker.connection
    tp = await new_topic(kafka)
    async with kafka.producer() as producer:
        for number in range(6):
            await producer.send_and_wait(tp.topic, b"%d" % number, partition=0)
    admin = kafka.admin()
    await admin.start()
    await admin.delete_records({tp: RecordsToDelete(before_offset=4)})
    await admin.close()
    assert await look_into(kafka, tp, range(1, 4)) == HoleContent(range(1, 4), holds_record=False)
    assert await look_into(kafka, tp, range(1, 5)) == HoleContent(range(1, 4), holds_record=True)
    assert await look(kafka, tp, range(4, 6)) == (0, True)


async def test_a_look_has_an_end(broker: LocalBroker) -> None:
    tp = await new_topic(broker.connection)
    with pytest.raises(UnknownHoleError, match="no answer in time"):
        await look_into(broker.connection, tp, range(1, 2), within_seconds=0)
    away = Connection("127.0.0.1:1")
    with pytest.raises(UnknownHoleError, match="between offsets 1 and 2"):
        await look_into(away, tp, range(1, 2))
