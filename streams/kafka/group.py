"""How far a consumer group has come, as Kafka itself knows it."""

from __future__ import annotations

from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError

from streams.kafka.connection import Connection


class GroupProgress(NamedTuple):
    """A consumer group: its state in Kafka's words, how many members it has, its committed offset by partition."""

    state: str
    members: int
    committed: dict[int, int]


async def group_progress(kafka: Connection, group: str, topic: str) -> GroupProgress:
    """Who works on the topic, and how far they are."""
    committed = await committed_offsets(kafka, group, topic)
    admin = kafka.admin()
    try:
        await kafka.start(admin)
        (answer,) = await admin.describe_consumer_groups([group])
    except GroupCoordinatorNotAvailableError:
        return GroupProgress("Unknown", 0, {})
    finally:
        await admin.close()
    _, _, state, _, _, members, *_ = answer.groups[0]
    return GroupProgress(state, len(members), {tp.partition: offset for tp, offset in committed.items()})


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
