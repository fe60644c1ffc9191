"""The newest online model, read from riskmon.models as the learner publishes it."""

from __future__ import annotations

import asyncio
import logging

from aiokafka.errors import KafkaError

from models.serving.linear import SnapshotError
from monitoring import metrics
from streams.kafka.connection import Connection
from streams.kafka.snapshots import at_newest, decode_snapshot, newest_snapshot
from streams.score import ModelSet

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 2.0


class ModelFeed:
    """Holds the `book` in force, and replaces it when a newer snapshot arrives."""

    def __init__(self, kafka: Connection, book: ModelSet) -> None:
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
