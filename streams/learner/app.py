"""The learner: labels in, snapshots of the online models and alerts out. A consumer group lets only one learn.

The snapshot carries the offset from which to go on, so models and progress are written in one message: after a
crash the learner resumes from the newest snapshot and meets exactly the labels that are not in it. Alerts are
written before the snapshot that knows of them, so one may be repeated, with the same id, but none is lost.

A learner that was suspended may write after its successor. The models topic is a compare-and-swap: the learner knows
the offset that comes next there, and a gap means that somebody else has written. Then it reads what that is before it
goes on, and whoever is ahead writes again, so that compaction never leaves a stale snapshot as the newest.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from monitoring import metrics
from streams.config.settings import Settings
from streams.contracts.alerts import Alert
from streams.contracts.labels import Label
from streams.contracts.records import DeadLetter, Record
from streams.contracts.topics import ALERTS, LABELS
from streams.kafka.dead_letters import file_dead_letters
from streams.kafka.producer import Message, Sink
from streams.kafka.reader import as_record
from streams.kafka.retry import is_passing, retried
from streams.learner.progress import Progress
from streams.learner.state import ELIGIBLE, JUDGED, MONITORED, LearnerState

_log = logging.getLogger(__name__)
_LABELS_PARTITION = TopicPartition(LABELS, 0)
# A snapshot holds the whole record (80 to 160 kB): labels share one while they come fast.
_SNAPSHOT_SECONDS = 1.0
# But not more of them: after a pause thousands come in a second, and one snapshot of them all would move the scores so
# far that it is held back.
_SNAPSHOT_LABELS = 300
_LOOK_SECONDS = 2.0


class LearnerStoppedError(ValueError):
    """Learning cannot go on without a person; the text says what to do."""


class Learner(ConsumerRebalanceListener):  # type: ignore[misc]
    """Runs a state against Kafka. `turned_at` is when its loop last went round (`time.monotonic`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sink = Sink(settings.kafka)
        self._progress = Progress(settings.kafka, self._sink, settings.snapshot_move)
        self.started = False
        self.state = LearnerState()
        self._turned_at = time.monotonic()
        self._saved_at = 0.0
        self._looked_at = 0.0
        self._saved_offset = 0
        # Counts what the group decides about the labels; the state is loaded anew for each time they are ours.
        self._assignment = 0
        self._loaded_for = 0
        self._is_ours = False
        # Held from a label's learning to its alerts' acknowledgement, so that no snapshot comes between.
        self._lock = asyncio.Lock()
        # Shown as 0 from the start: a counter that begins at 1 is no increase to Prometheus.
        for kind, subjects in (("loss_drift", JUDGED), ("feature_drift", MONITORED)):
            for subject in subjects:
                metrics.DRIFT_ALERTS.labels(kind, subject)

    @property
    def turned_at(self) -> float:
        """When it last went on or tried to write (`time.monotonic`)."""
        return max(self._turned_at, self._sink.tried_at)

    async def run(self) -> None:
        """Learn until cancelled, however often Kafka goes away."""
        try:
            await retried(
                self._learn_until_cancelled,
                lambda error: _log.warning("Kafka does not answer the learner, trying again: %s", error),
                again=is_passing,
            )
        finally:
            await self._sink.close()

    async def _learn_until_cancelled(self) -> None:
        settings = self._settings
        consumer = settings.kafka.consumer(
            group_id=f"{settings.application}-learner",
            auto_offset_reset="earliest",
            session_timeout_ms=round(settings.session_seconds * 1000),
            heartbeat_interval_ms=round(settings.session_seconds * 200),
        )
        self._is_ours = False
        try:
            await consumer.start()
            self.started = True
            consumer.subscribe([LABELS], listener=self)
            while True:
                self._turned_at = time.monotonic()
                await self._turn(consumer)
        finally:
            await consumer.stop()

    async def _turn(self, consumer: AIOKafkaConsumer) -> None:
        if self._is_ours and not self._is_loaded():
            await self._load(consumer)
        # Few at a time, so that heartbeats are sent between them.
        fetched = await consumer.getmany(timeout_ms=500, max_records=100)
        if not self._is_loaded():
            return
        for messages in fetched.values():
            await self._take([as_record(each) for each in messages])
        now = time.monotonic()
        is_time = now - self._saved_at >= _SNAPSHOT_SECONDS
        if (is_time or self.state.next_offset - self._saved_offset >= _SNAPSHOT_LABELS) and await self._save():
            await self._commit(consumer)
        elif now - self._looked_at >= _LOOK_SECONDS:
            await self._look()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Leave what is learnt to the next learner."""
        if _LABELS_PARTITION in revoked:
            try:
                if self._is_loaded():
                    await self._save()
            finally:
                self._assignment += 1
                self._is_ours = False

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Labels are taken once the newest snapshot is loaded: the consumer fetches before this has returned."""
        if _LABELS_PARTITION in assigned:
            self._assignment += 1
            self._is_ours = True

    async def _load(self, consumer: AIOKafkaConsumer) -> None:
        """Take up where the snapshot that is furthest ahead stands, whoever wrote it."""
        assignment = self._assignment
        newest = await self._progress.load()
        state = LearnerState(newest)
        end = (await consumer.end_offsets([_LABELS_PARTITION]))[_LABELS_PARTITION]
        begin = (await consumer.beginning_offsets([_LABELS_PARTITION]))[_LABELS_PARTITION]
        if state.next_offset > end:
            raise LearnerStoppedError(
                f"{LABELS} ends at {end}, but labels up to {state.next_offset} are learnt: the topic was made anew or "
                "has lost its end. Restore it, or let learning start over: `riskmon models reset`"
            )
        if newest and begin > state.next_offset:
            _log.error("labels %d to %d expired before they were learnt", state.next_offset, begin - 1)
        if assignment != self._assignment:
            return
        consumer.seek(_LABELS_PARTITION, max(state.next_offset, begin))
        self.state, self._saved_offset, self._loaded_for = state, state.next_offset, assignment
        self._show()
        _log.info("learning from label offset %d on", state.next_offset)
        if newest:
            # Whoever saved it may have lost the partition before it told the group how far it was.
            await self._commit(consumer)

    def _is_loaded(self) -> bool:
        return self._is_ours and self._loaded_for == self._assignment

    async def _take(self, records: Sequence[Record]) -> None:
        async with self._lock:
            alerts: list[Alert] = []
            invalid: list[DeadLetter] = []
            for record in records:
                try:
                    label = Label.model_validate_json(record.value or b"")
                except ValidationError as error:
                    _log.warning("label at offset %d is not valid", record.offset)
                    detail = f"{error.error_count()} fields are wrong"
                    invalid.append(DeadLetter(record, "invalid_label", detail))
                    self.state.next_offset = record.offset + 1
                else:
                    alerts += self._learn(label, record.offset)
            await file_dead_letters(self._sink, LABELS, invalid)
            await self._sink.write([_alert_message(alert) for alert in alerts])

    def _learn(self, label: Label, offset: int) -> tuple[Alert, ...]:
        learnt = self.state.learn(label, offset)
        if not learnt.is_new:
            metrics.LEARNER_REPEATS.inc()
            return ()
        metrics.LEARNER_LABELS.labels(str(label.outcome).lower()).inc()
        for alert in learnt.alerts:
            _log.warning("%s: %s", alert.kind, alert.text)
            metrics.DRIFT_ALERTS.labels(alert.kind, alert.subject).inc()
        if learnt.dethroned:
            _log.warning("%s is served from now on, not %s", self.state.champion, learnt.dethroned)
            metrics.CHAMPION_SWITCHES.inc()
        return learnt.alerts

    async def _save(self) -> bool:
        """Write a snapshot; False if the last one still says it all, or another learner is ahead."""
        async with self._lock:
            if self.state.next_offset == self._saved_offset:
                return False
            self._saved_at = self._looked_at = time.monotonic()
            snapshot = self.state.snapshot()
            if not await self._progress.save(snapshot):
                self._load_anew()
                return False
            self._saved_offset = snapshot.next_label_offset
        self._show()
        return True

    async def _look(self) -> None:
        """See whether a stranger has written to the models topic, also while no labels come."""
        async with self._lock:
            self._looked_at = time.monotonic()
            if not await self._progress.look():
                self._load_anew()

    def _load_anew(self) -> None:
        _log.error("the models topic was reset, or another learner is ahead: what stands there is loaded")
        self._loaded_for = -1

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        try:
            await consumer.commit({_LABELS_PARTITION: self._saved_offset})
        except KafkaError as error:
            # The snapshot says where to go on; the committed offset only tells others how far the learner is.
            _log.warning("the learner's offset was not committed: %s", error)

    def _show(self) -> None:
        state = self.state
        for model, quality in state.quality().items():
            metrics.JUDGED_LABELS.labels(model).set(quality.labels)
            if quality.log_loss is not None:
                metrics.MODEL_LOG_LOSS.labels(model).set(quality.log_loss)
            if quality.auc is not None:
                metrics.MODEL_AUC.labels(model).set(quality.auc)
        for name in ELIGIBLE:
            metrics.CHAMPION.labels(name).set(name == state.champion)
        for feature, index in state.stability_indices().items():
            metrics.FEATURE_PSI.labels(feature).set(index)


def _alert_message(alert: Alert) -> Message:
    return Message(ALERTS, 0, alert.subject.encode(), alert.model_dump_json().encode())
