"""The learner: labels in, snapshots of the online model out. A consumer group lets only one learn at a time.

The snapshot carries the offset from which to go on, so model and progress are written in one message: after a
crash the learner resumes from the newest snapshot and meets exactly the labels that are not in it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from pydantic import ValidationError

from models.blend import Blend, mean_log_losses, observe
from models.online import OnlineModel
from monitoring import metrics
from streams.connection import Connection
from streams.dead_letter import dead_letter_message
from streams.engine import DeadLetter, Record
from streams.features import FEATURE_NAMES
from streams.messages import Label, LabelOrder, ModelSnapshot
from streams.model_feed import PARTITION, at_newest
from streams.settings import Settings
from streams.sink import Message, Sink
from streams.topics import LABELS, MODELS

_log = logging.getLogger(__name__)
_LABELS_PARTITION = TopicPartition(LABELS, 0)
_KEY = b"online"


class Lesson:
    """The online model, the blend's record of both models, and how far in the labels they are."""

    def __init__(self, snapshot: ModelSnapshot | None = None) -> None:
        self.model = OnlineModel.from_snapshot(snapshot.model) if snapshot else OnlineModel(FEATURE_NAMES)
        self.blend = snapshot.blend if snapshot else Blend()
        self.next_offset = snapshot.next_label_offset if snapshot else 0
        self._learnt_to: dict[int, LabelOrder] = dict(snapshot.learnt_to) if snapshot else {}

    def learn(self, label: Label) -> bool:
        """Test, then train: judge the predictions made at the time, then learn. False if it was a repeat."""
        last = self._learnt_to.get(label.origin_partition)
        if last is not None and label.order <= last:
            return False
        self._learnt_to[label.origin_partition] = label.order
        self.blend = observe(self.blend, label.forest_score, self._judged(label), label.outcome)
        self.model.learn(label.features, label.outcome)
        return True

    def _judged(self, label: Label) -> float:
        # Labels of the time before any online model was served have no prediction of its own; the model
        # as it stands before learning this label is then what is tested.
        return label.online_score if label.online_version else self.model.predict(label.features)

    def snapshot(self) -> ModelSnapshot:
        """The lesson's whole state."""
        return ModelSnapshot(
            model=self.model.snapshot(),
            blend=self.blend,
            next_label_offset=self.next_offset,
            learnt_to=dict(self._learnt_to),
        )


class Learner(ConsumerRebalanceListener):  # type: ignore[misc]
    """Runs a lesson against Kafka."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sink = Sink(settings.kafka)
        self._consumer: AIOKafkaConsumer | None = None
        self.started = False
        self.lesson = Lesson()

    async def run(self) -> None:
        """Learn until cancelled."""
        consumer = self._consumer = self._settings.kafka.consumer(
            group_id=f"{self._settings.application}-learner", auto_offset_reset="earliest"
        )
        await consumer.start()
        self.started = True
        try:
            consumer.subscribe([LABELS], listener=self)
            while True:
                fetched = await consumer.getmany(_LABELS_PARTITION, timeout_ms=500, max_records=500)
                for messages in fetched.values():
                    await self._take([Record(m.partition, m.offset, m.key, m.value, m.timestamp) for m in messages])
                    await consumer.commit({_LABELS_PARTITION: self.lesson.next_offset})
        finally:
            await consumer.stop()
            await self._sink.close()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Nothing to hand over: what is learnt is in the newest snapshot."""

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Take up where the newest snapshot stands, whoever wrote it."""
        if _LABELS_PARTITION in assigned and self._consumer is not None:
            self.lesson = Lesson(await newest_snapshot(self._settings.kafka))
            self._consumer.seek(_LABELS_PARTITION, self.lesson.next_offset)
            _log.info("learning from label offset %d on", self.lesson.next_offset)

    async def _take(self, records: Sequence[Record]) -> None:
        refused = []
        for record in records:
            try:
                self._learn(Label.model_validate_json(record.value or b""))
            except ValidationError as error:
                _log.warning("label at offset %d is not valid", record.offset)
                refused.append(DeadLetter(record, "invalid_label", f"{error.error_count()} fields are wrong"))
            self.lesson.next_offset = record.offset + 1
        await self._sink.write([dead_letter_message(LABELS, each) for each in refused])
        snapshot = self.lesson.snapshot().model_dump_json().encode()
        await self._sink.write([Message(MODELS, 0, _KEY, snapshot)])
        for model, loss in mean_log_losses(self.lesson.blend).items():
            metrics.LEARNER_LOG_LOSS.labels(model).set(loss)

    def _learn(self, label: Label) -> None:
        if self.lesson.learn(label):
            metrics.LEARNER_LABELS.labels(str(label.outcome).lower()).inc()
        else:
            metrics.LEARNER_REPEATS.inc()


async def newest_snapshot(kafka: Connection) -> ModelSnapshot | None:
    """The last snapshot on the models topic; None if there is none yet."""
    consumer = await at_newest(kafka)
    try:
        end = (await consumer.end_offsets([PARTITION]))[PARTITION]
        if await consumer.position(PARTITION) >= end:
            return None
        return ModelSnapshot.model_validate_json((await consumer.getone()).value)
    finally:
        await consumer.stop()
