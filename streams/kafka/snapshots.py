"""The newest snapshot on the topic riskmon.models."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import ValidationError

from models.serving.linear import SnapshotError
from streams.contracts.snapshots import ModelSnapshot
from streams.contracts.topics import MODELS
from streams.kafka.connection import Connection

_PARTITION = TopicPartition(MODELS, 0)


def decode_snapshot(value: bytes) -> ModelSnapshot:
    """A snapshot from the topic. Raises `SnapshotError`, in one line, if it is of another format or damaged."""
    try:
        return ModelSnapshot.model_validate_json(value)
    except ValidationError as error:
        wrong = {each["loc"]: each["msg"] for each in error.errors(include_url=False)}
        place = ("schema_version",) if ("schema_version",) in wrong else next(iter(wrong))
        raise SnapshotError(f"{'.'.join(map(str, place)) or 'JSON'}: {wrong[place]}") from None


async def newest_snapshot(kafka: Connection) -> bytes | None:
    """The last message of the models topic as it stands there; None if there is none yet."""
    consumer = await at_newest(kafka)
    try:
        end = (await consumer.end_offsets([_PARTITION]))[_PARTITION]
        return (await consumer.getone()).value if await consumer.position(_PARTITION) < end else None
    finally:
        await consumer.stop()


async def at_newest(kafka: Connection) -> AIOKafkaConsumer:
    """A started consumer of the models topic, positioned on the newest snapshot, if there is one."""
    consumer = kafka.consumer()
    try:
        await consumer.start()
        consumer.assign([_PARTITION])
        end = (await consumer.end_offsets([_PARTITION]))[_PARTITION]
        begin = (await consumer.beginning_offsets([_PARTITION]))[_PARTITION]
        consumer.seek(_PARTITION, max(end - 1, begin))
    except BaseException:
        await consumer.stop()
        raise
    return consumer
