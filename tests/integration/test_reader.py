"""The one reader to the end of a topic, behind whatever a transaction or retention has left there."""

import asyncio

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.topics import ACTIONS
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from streams.kafka.reader import newest, read_to_end, read_topic

PARTS = [TopicPartition(ACTIONS, number) for number in range(3)]


async def values(kafka: Connection) -> list[bytes | None]:
    """What the topic holds, in the order of partitions and offsets; it must be read within a moment."""
    async with asyncio.timeout(30):
        found = [each async for each in read_topic(kafka, ACTIONS, follow=False)]
    return [each.value for each in sorted(found, key=lambda each: (each.partition, each.offset))]


async def test_reading_ends_at_markers_open_transactions_and_deleted_records(own_broker: LocalBroker) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 3, 1)
    assert await values(kafka) == []
    async with kafka.producer() as plain:
        for number in range(5):
            await plain.send_and_wait(ACTIONS, b"%d" % number, partition=0)
    async with kafka.producer(transactional_id="committed") as writer, writer.transaction():
        await writer.send_and_wait(ACTIONS, b"committed", partition=1)
    writer = kafka.producer(transactional_id="aborted")
    await writer.start()
    await writer.begin_transaction()
    await writer.send_and_wait(ACTIONS, b"aborted", partition=1)
    await writer.abort_transaction()
    assert await values(kafka) == [b"0", b"1", b"2", b"3", b"4", b"committed"]
    await writer.begin_transaction()
    await writer.send_and_wait(ACTIONS, b"open", partition=0)
    async with kafka.producer() as plain:
        await plain.send_and_wait(ACTIONS, b"behind", partition=0)
        await plain.send_and_wait(ACTIONS, b"elsewhere", partition=2)
    assert await values(kafka) == [b"0", b"1", b"2", b"3", b"4", b"committed", b"elsewhere"]
    await writer.commit_transaction()
    await writer.stop()
    admin = kafka.admin()
    await admin.start()
    await admin.delete_records({PARTS[0]: RecordsToDelete(before_offset=3), PARTS[2]: RecordsToDelete(before_offset=1)})
    await admin.close()
    assert await values(kafka) == [b"3", b"4", b"open", b"behind", b"committed"]


async def test_the_newest_are_read_and_nothing_that_comes_meanwhile(own_broker: LocalBroker) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 3, 1)
    async with kafka.producer() as plain, kafka.consumer(auto_offset_reset="earliest") as consumer:
        for number in range(300):
            await plain.send(ACTIONS, b"%d" % number, partition=0)
        await plain.flush()
        starts = await newest(consumer, PARTS, 10)
        assert starts == {PARTS[0]: 290, PARTS[1]: 0, PARTS[2]: 0}
        found = []
        async for message in read_to_end(consumer, starts):
            found.append(message.offset)
            await plain.send_and_wait(ACTIONS, b"later", partition=0)
        assert found == list(range(290, 300))
        assert [each async for each in read_to_end(consumer, {})] == []
