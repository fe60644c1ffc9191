"""Reading the actions topic as a consumer would."""

from __future__ import annotations

from collections.abc import AsyncIterator

from streams.connection import Connection
from streams.messages import Action
from streams.topics import ACTIONS


async def read_actions(kafka: Connection, *, follow: bool) -> AsyncIterator[Action]:
    """Every action once, oldest first within a partition; ends at the end of the topic unless `follow`."""
    consumer = kafka.consumer(ACTIONS, auto_offset_reset="earliest")
    await consumer.start()
    seen: set[str] = set()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while follow or any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for messages in (await consumer.getmany(timeout_ms=500)).values():
                for message in messages:
                    action = Action.model_validate_json(message.value)
                    if action.action_id not in seen:
                        seen.add(action.action_id)
                        yield action
    finally:
        await consumer.stop()
