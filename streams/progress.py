"""How far a consumer group has come, as Kafka itself knows it."""

from __future__ import annotations

from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError

from streams.connection import Connection


async def committed_offsets(kafka: Connection, group: str, topic: str) -> dict[TopicPartition, int]:
    """The group's committed offset by partition of the topic; empty before its first commit."""
    admin = kafka.admin()
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
    except GroupCoordinatorNotAvailableError:
        # A new Kafka sets up its offsets topic on the first such question.
        return {}
    finally:
        await admin.close()
    return {tp: meta.offset for tp, meta in found.items() if tp.topic == topic and meta.offset >= 0}
