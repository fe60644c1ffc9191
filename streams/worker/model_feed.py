"""The newest online model, read from riskmon.models as the learner publishes it."""

from __future__ import annotations

import asyncio
import logging

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from models.serving.linear import SnapshotError
from monitoring import metrics
from streams.contracts.snapshots import ModelSnapshot
from streams.contracts.topics import MODELS
from streams.kafka.connection import Connection
from streams.score import ScoreBook

_log = logging.getLogger(__name__)
_PARTITION = TopicPartition(MODELS, 0)
_RETRY_SECONDS = 2.0


class ModelFeed:
    """Holds the `book` in force, and replaces it when a newer snapshot arrives."""

    def __init__(self, kafka: Connection, book: ScoreBook) -> None:
        self._kafka = kafka
        self.book = book

    async def run(self) -> None:
        """Follow the topic until cancelled; while Kafka is away the last model stays in use."""
        while True:
            try:
                await self._follow()
            except KafkaError as error:
                _log.warning("the models topic cannot be read, trying again: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def catch_up(self) -> None:
        """Put the newest snapshot in force at once, so that a restart does not score by the forest alone at first."""
        try:
            value = await newest_snapshot(self._kafka)
        except KafkaError as error:
            _log.warning("the newest models cannot be read, those in force stay: %s", error)
            return
        if value is not None:
            self._take(value)

    async def _follow(self) -> None:
        consumer = await _at_newest(self._kafka)
        try:
            async for message in consumer:
                self._take(message.value)
        finally:
            await consumer.stop()

    def _take(self, value: bytes) -> None:
        try:
            self.book = self.book.with_snapshot(decode_snapshot(value))
        except SnapshotError as error:
            _log.error("a model snapshot is not usable and is passed over: %s", error)
            return
        metrics.ONLINE_LABELS.set(self.book.versions.online)
        metrics.ONLINE_WEIGHT.set(self.book.online_weight)


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
    consumer = await _at_newest(kafka)
    try:
        end = (await consumer.end_offsets([_PARTITION]))[_PARTITION]
        return (await consumer.getone()).value if await consumer.position(_PARTITION) < end else None
    finally:
        await consumer.stop()


async def _at_newest(kafka: Connection) -> AIOKafkaConsumer:
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
