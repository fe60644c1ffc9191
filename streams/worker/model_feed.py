"""The newest online model, read from riskmon.models as the learner publishes it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError

from models.serving.linear import SnapshotError
from monitoring import metrics
from streams.kafka.connection import Connection
from streams.kafka.reader import note_foreign
from streams.kafka.retry import retried
from streams.kafka.snapshots import MOST_MOVE, PARTITION, Judge, found_snapshot, is_reset, recent_messages
from streams.score import ModelSet

_log = logging.getLogger(__name__)


class ModelFeed:
    """Holds the `model_set` in force, and replaces it when a newer snapshot arrives that may be served.

    `most_move` is how far one snapshot may move the scores before a person has to accept it.
    """

    def __init__(self, kafka: Connection, model_set: ModelSet, most_move: float = MOST_MOVE) -> None:
        self._kafka = kafka
        self._judge = Judge(most_move)
        self._next: int | None = None
        self.model_set = model_set

    async def run(self) -> None:
        """Follow the topic until cancelled; while Kafka is away the last model stays in use."""
        await retried(
            self._follow, lambda error: _log.warning("the models topic cannot be read, trying again: %s", error)
        )

    async def catch_up(self) -> None:
        """Put the newest snapshot in force at once, so that a restart does not score by the forest alone at first."""
        consumer = self._kafka.consumer(auto_offset_reset="none")
        try:
            await consumer.start()
            await self._read_on(consumer)
        except KafkaError as error:
            _log.warning("the newest models cannot be read, those in force stay: %s", error)
        finally:
            await consumer.stop()

    async def _follow(self) -> None:
        # A topic that was made anew is noticed by an offset that it does not have, not read from somewhere else.
        consumer = self._kafka.consumer(auto_offset_reset="none")
        try:
            await consumer.start()
            await self._read_on(consumer)
            consumer.assign([PARTITION])
            consumer.seek(PARTITION, self._next or 0)
            while True:
                for messages in (await consumer.getmany(timeout_ms=1000)).values():
                    self._take_all(messages, first=False)
        finally:
            await consumer.stop()

    async def _read_on(self, consumer: AIOKafkaConsumer) -> None:
        """Read what the topic holds at the start; later what is there beyond the last message taken."""
        end = (await consumer.end_offsets([PARTITION]))[PARTITION]
        begin = (await consumer.beginning_offsets([PARTITION]))[PARTITION]
        if self._next is not None and not begin <= self._next <= end:
            _log.error("riskmon.models was made anew or cut: its newest snapshots are read again")
            self._judge, self._next = Judge(self._judge.most_move), None
        if self._next is None:
            self._take_all(await recent_messages(consumer), first=True)
            self._next = max(self._next or 0, end)

    def _take_all(self, messages: Sequence[ConsumerRecord], *, first: bool) -> None:
        for message in messages:
            # Run and catch-up may both have read it.
            if self._next is None or message.offset >= self._next:
                self._next = message.offset + 1
                self._take(message, first=first and self._judge.in_force is None)
        metrics.SNAPSHOTS_HELD_BACK.set(self._judge.held)

    def _take(self, message: ConsumerRecord, *, first: bool) -> None:
        if is_reset(message):
            _log.error("the online models were reset: the forest scores alone until newer ones are in force")
            self._judge = Judge(self._judge.most_move)
            self._serve()
            return
        try:
            verdict = self._judge.take(found_snapshot(message), first=first)
        except SnapshotError as error:
            if message.value is not None:
                note_foreign(message, str(error))
                _log.error("a model snapshot is not usable and is passed over: %s", error)
            return
        if verdict == "in force":
            self._serve()
        elif verdict == "stale":
            metrics.STALE_SNAPSHOTS.inc()
            _log.error("snapshot %d is older than one seen before and is passed over", message.offset)
        elif self._judge.held == 1:
            _log.error(
                "snapshot %d is held back, and the models in force stay: it would move the scores too far at once "
                "(last measured: %.2f on the average, allowed: %.2f). `riskmon models accept` puts it in force",
                message.offset,
                self._judge.last_move,
                self._judge.most_move,
            )

    def _serve(self) -> None:
        self.model_set = self.model_set.with_online(self._judge.in_force)
        metrics.ONLINE_LABELS.set(self.model_set.versions.online)
        metrics.ONLINE_WEIGHT.set(self.model_set.online_weight)
