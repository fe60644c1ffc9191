"""The learner: labels in, snapshots of the online models and alerts out. A consumer group lets only one learn.

The snapshot carries the offset from which to go on, so models and progress are written in one message: after a
crash the learner resumes from the newest snapshot and meets exactly the labels that are not in it. Alerts are
written before the snapshot that knows of them, so one may be repeated, with the same id, but none is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from models.serving.linear import SnapshotError
from monitoring import metrics
from streams.config.settings import Settings
from streams.contracts.alerts import Alert
from streams.contracts.labels import Label
from streams.contracts.records import DeadLetter, Record
from streams.contracts.topics import ALERTS, LABELS, MODELS
from streams.kafka.connection import Connection
from streams.kafka.dead_letters import dead_letter_message
from streams.kafka.producer import Message, Sink
from streams.kafka.snapshots import decode_snapshot, newest_snapshot
from streams.learner.state import ELIGIBLE, JUDGED, MONITORED, LearnerState

_log = logging.getLogger(__name__)
_LABELS_PARTITION = TopicPartition(LABELS, 0)
_KEY = b"online"
# A snapshot holds the whole record (65 to 140 kB): labels share one while they come fast.
_SNAPSHOT_SECONDS = 1.0


class Learner(ConsumerRebalanceListener):  # type: ignore[misc]
    """Runs a lesson against Kafka."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sink = Sink(settings.kafka)
        self.started = False
        self.lesson = LearnerState()
        self._saved_at = 0.0
        self._saved_offset = 0
        # Counts what the group decides about the labels; the lesson is loaded anew for each time they are ours.
        self._assignment = 0
        self._loaded_for = 0
        self._is_ours = False
        # Held from a label's learning to its alerts' acknowledgement, so that no snapshot comes between.
        self._lock = asyncio.Lock()
        # Shown as 0 from the start: a counter that begins at 1 is no increase to Prometheus.
        for kind, subjects in (("loss_drift", JUDGED), ("feature_drift", MONITORED)):
            for subject in subjects:
                metrics.DRIFT_ALERTS.labels(kind, subject)

    async def run(self) -> None:
        """Learn until cancelled."""
        settings = self._settings
        consumer = settings.kafka.consumer(
            group_id=f"{settings.application}-learner",
            auto_offset_reset="earliest",
            session_timeout_ms=round(settings.session_seconds * 1000),
            heartbeat_interval_ms=round(settings.session_seconds * 200),
        )
        await consumer.start()
        self.started = True
        try:
            consumer.subscribe([LABELS], listener=self)
            while True:
                if self._is_ours and not self._is_loaded():
                    await self._load(consumer)
                # Few at a time, so that heartbeats are sent between them.
                fetched = await consumer.getmany(timeout_ms=500, max_records=100)
                if not self._is_loaded():
                    continue
                for messages in fetched.values():
                    await self._take([Record(m.partition, m.offset, m.key, m.value, m.timestamp) for m in messages])
                if time.monotonic() - self._saved_at >= _SNAPSHOT_SECONDS and await self._save():
                    await self._commit(consumer)
        finally:
            await consumer.stop()
            await self._sink.close()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Leave what is learnt to the next learner."""
        if _LABELS_PARTITION in revoked:
            if self._is_loaded():
                await self._save()
            self._assignment += 1
            self._is_ours = False

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Labels are taken once the newest snapshot is loaded: the consumer fetches before this has returned."""
        if _LABELS_PARTITION in assigned:
            self._assignment += 1
            self._is_ours = True

    async def _load(self, consumer: AIOKafkaConsumer) -> None:
        """Take up where the newest snapshot stands, whoever wrote it."""
        assignment = self._assignment
        lesson = await newest_state(self._settings.kafka)
        if assignment != self._assignment:
            return
        consumer.seek(_LABELS_PARTITION, lesson.next_offset)
        self.lesson, self._saved_offset, self._loaded_for = lesson, lesson.next_offset, assignment
        self._show()
        _log.info("learning from label offset %d on", lesson.next_offset)

    def _is_loaded(self) -> bool:
        return self._is_ours and self._loaded_for == self._assignment

    async def _take(self, records: Sequence[Record]) -> None:
        async with self._lock:
            await self._sink.write(self._learn_all(records))

    def _learn_all(self, records: Sequence[Record]) -> list[Message]:
        """Learn the labels among the records; returns the alerts and dead letters to write."""
        messages = []
        for record in records:
            try:
                label = Label.model_validate_json(record.value or b"")
            except ValidationError as error:
                _log.warning("label at offset %d is not valid", record.offset)
                detail = f"{error.error_count()} fields are wrong"
                messages.append(dead_letter_message(LABELS, DeadLetter(record, "invalid_label", detail)))
                self.lesson.next_offset = record.offset + 1
            else:
                messages += [_alert_message(alert) for alert in self._learn(label, record.offset)]
        return messages

    def _learn(self, label: Label, offset: int) -> tuple[Alert, ...]:
        learnt = self.lesson.learn(label, offset)
        if not learnt.is_new:
            metrics.LEARNER_REPEATS.inc()
            return ()
        metrics.LEARNER_LABELS.labels(str(label.outcome).lower()).inc()
        for alert in learnt.alerts:
            _log.warning("%s: %s", alert.kind, alert.text)
            metrics.DRIFT_ALERTS.labels(alert.kind, alert.subject).inc()
        if learnt.dethroned:
            _log.warning("%s is served from now on, not %s", self.lesson.champion, learnt.dethroned)
            metrics.CHAMPION_SWITCHES.inc()
        return learnt.alerts

    async def _save(self) -> bool:
        """Write a snapshot; False if the last one still says it all."""
        async with self._lock:
            if self.lesson.next_offset == self._saved_offset:
                return False
            snapshot = self.lesson.snapshot()
            await self._sink.write([Message(MODELS, 0, _KEY, snapshot.model_dump_json().encode())])
            self._saved_offset, self._saved_at = snapshot.next_label_offset, time.monotonic()
        self._show()
        return True

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        try:
            await consumer.commit({_LABELS_PARTITION: self._saved_offset})
        except KafkaError as error:
            # The snapshot says where to go on; the committed offset only tells others how far the learner is.
            _log.warning("the learner's offset was not committed: %s", error)

    def _show(self) -> None:
        lesson = self.lesson
        for model, quality in lesson.quality().items():
            metrics.JUDGED_LABELS.labels(model).set(quality.labels)
            if quality.log_loss is not None:
                metrics.MODEL_LOG_LOSS.labels(model).set(quality.log_loss)
            if quality.auc is not None:
                metrics.MODEL_AUC.labels(model).set(quality.auc)
        for name in ELIGIBLE:
            metrics.CHAMPION.labels(name).set(name == lesson.champion)
        for feature, index in lesson.stability_indices().items():
            metrics.FEATURE_PSI.labels(feature).set(index)


def _alert_message(alert: Alert) -> Message:
    return Message(ALERTS, 0, alert.subject.encode(), alert.model_dump_json().encode())


async def newest_state(kafka: Connection) -> LearnerState:
    """The lesson of the last snapshot on the models topic; a new one if there is none, or none that can be used.

    A snapshot of another format is not taken over: the learner starts again with the oldest label still on the
    topic, and until it has been judged on enough labels the forest decides alone.
    """
    value = await newest_snapshot(kafka)
    if value is None:
        return LearnerState()
    try:
        return LearnerState(decode_snapshot(value))
    except SnapshotError as error:
        _log.error("the newest snapshot is not usable, learning starts over: %s", error)
        return LearnerState()
