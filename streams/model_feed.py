"""The newest online model, read from riskmon.models as the learner publishes it."""

from __future__ import annotations

import asyncio
import logging

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from models.online import SnapshotError
from monitoring import metrics
from streams.connection import Connection
from streams.messages import ModelSnapshot
from streams.scoring import ScoreBook
from streams.topics import MODELS

_log = logging.getLogger(__name__)
PARTITION = TopicPartition(MODELS, 0)
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

    async def _follow(self) -> None:
        consumer = await at_newest(self._kafka)
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


async def at_newest(kafka: Connection) -> AIOKafkaConsumer:
    """A started consumer of the models topic, positioned on the newest snapshot, if there is one."""
    consumer = kafka.consumer()
    try:
        await consumer.start()
        consumer.assign([PARTITION])
        end = (await consumer.end_offsets([PARTITION]))[PARTITION]
        begin = (await consumer.beginning_offsets([PARTITION]))[PARTITION]
        consumer.seek(PARTITION, max(end - 1, begin))
    except BaseException:
        await consumer.stop()
        raise
    return consumer
