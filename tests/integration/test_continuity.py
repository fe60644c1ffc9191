"""Which holes are empty, on a real Kafka."""

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic

from streams.command.local_kafka.broker import LocalBroker
from streams.kafka.continuity import holds_records


async def test_a_transaction_marker_is_an_empty_hole_and_a_record_is_not(broker: LocalBroker) -> None:
    tp = TopicPartition("continuity", 0)
    kafka = broker.connection
    admin = kafka.admin()
    await admin.start()
    await admin.create_topics([NewTopic(tp.topic, 1, 1)])
    await admin.close()
    async with kafka.producer(transactional_id="markers") as producer:
        for value in (b"first", b"second"):
            async with producer.transaction():
                await producer.send_and_wait(tp.topic, value, partition=0)
    # 0 first, 1 marker, 2 second, 3 marker
    assert await holds_records(kafka, tp, range(2))
    assert not await holds_records(kafka, tp, range(1, 2))
    assert await holds_records(kafka, tp, range(1, 3))
    assert not await holds_records(kafka, tp, range(4, 9))
