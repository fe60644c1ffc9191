"""Reading topics as a bystander: no consumer group, from the oldest message on."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiokafka import ConsumerRecord

from streams.contracts.actions import Action
from streams.contracts.topics import ACTIONS
from streams.kafka.connection import Connection


async def read_topic(kafka: Connection, topic: str, *, follow: bool) -> AsyncIterator[ConsumerRecord]:
    """Every message, oldest first within a partition; ends at what is now the end of the topic unless `follow`."""
    consumer = kafka.consumer(topic, auto_offset_reset="earliest")
    await kafka.start(consumer)
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while follow or any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for messages in (await consumer.getmany(timeout_ms=500)).values():
                for message in messages:
                    yield message
    finally:
        await consumer.stop()


async def read_actions(kafka: Connection, *, follow: bool) -> AsyncIterator[Action]:
    """Every action once, though the topic may hold it twice."""
    seen: set[str] = set()
    async for message in read_topic(kafka, ACTIONS, follow=follow):
        action = Action.model_validate_json(message.value)
        if action.action_id not in seen:
            seen.add(action.action_id)
            yield action
