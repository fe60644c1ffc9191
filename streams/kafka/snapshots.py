"""Snapshots on the topic riskmon.models: which of them are riskmon's, which is in force, and which is held back.

Three kinds of messages count. Under the key `online` stands what workers score with. Under `held` stands the learner's
state while it would move the scores too far at once: learning goes on, scoring does not follow. A message `online` with
the header `riskmon-accepted` was put there by a person, who has looked at it. All else is passed over and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic import ValidationError

from models.serving.linear import SnapshotError
from streams.contracts.snapshots import ModelSnapshot, ReferenceRows
from streams.contracts.topics import MODELS
from streams.kafka.connection import Connection
from streams.kafka.producer import Message
from streams.kafka.reader import newest, read_to_end
from streams.score import OnlineModels

PARTITION = TopicPartition(MODELS, 0)
ONLINE_KEY, HELD_KEY = b"online", b"held"
MOST_MOVE = 0.10
_ACCEPTED = "riskmon-accepted"
_SERVED_AT = "riskmon-online-offset"
# The newest messages; the second, if none of the first is a snapshot.
_SEARCHED = (50, 1_000)

Verdict = Literal["in force", "stale", "held back"]


class OlderSnapshotError(SnapshotError):
    """A snapshot that an older riskmon wrote: learning may start over."""


@dataclass(frozen=True)
class FoundSnapshot:
    """A snapshot on its topic."""

    offset: int
    key: bytes
    is_accepted: bool
    snapshot: ModelSnapshot


def decode_snapshot(value: bytes | None) -> ModelSnapshot:
    """A snapshot from the topic. Raises `SnapshotError`, in one line, if it is of another format or damaged."""
    try:
        return ModelSnapshot.model_validate_json(value or b"")
    except ValidationError as error:
        wrong = {each["loc"]: each for each in error.errors(include_url=False)}
        place = ("schema_version",) if ("schema_version",) in wrong else next(iter(wrong))
        text = f"{'.'.join(map(str, place)) or 'JSON'}: {wrong[place]['msg']}"
        version = wrong[place]["input"]
        is_older = place == ("schema_version",) and isinstance(version, int) and 0 < version < _VERSION
        raise (OlderSnapshotError if is_older else SnapshotError)(text) from None


_VERSION: int = ModelSnapshot.model_fields["schema_version"].default


def found_snapshot(message: ConsumerRecord) -> FoundSnapshot:
    """The snapshot that a message of the topic is. Raises `SnapshotError`."""
    if message.key not in (ONLINE_KEY, HELD_KEY):
        raise SnapshotError("its key is neither online nor held")
    headers = {name for name, _ in message.headers}
    return FoundSnapshot(message.offset, message.key, _ACCEPTED in headers, decode_snapshot(message.value))


def is_reset(message: ConsumerRecord) -> bool:
    """Whether the message takes away what stood there before: `riskmon models reset` writes such."""
    return message.key == ONLINE_KEY and message.value is None


def online_message(snapshot: ModelSnapshot) -> Message:
    """The message that puts a snapshot in force."""
    return Message(MODELS, 0, ONLINE_KEY, snapshot.model_dump_json().encode())


def held_message(snapshot: ModelSnapshot, online_offset: int | None) -> Message:
    """The message that keeps the learner's state while `online_offset` stays in force."""
    pointer = () if online_offset is None else ((_SERVED_AT, str(online_offset).encode()),)
    return Message(MODELS, 0, HELD_KEY, snapshot.model_dump_json().encode(), pointer)


def accepted_message(found: FoundSnapshot, by: str) -> Message:
    """The message by which a person puts a snapshot in force that was held back."""
    return online_message(found.snapshot)._replace(headers=((_ACCEPTED, by.encode()),))


def reset_messages() -> list[Message]:
    """What makes the learner start over, and workers score by the forest alone until it is judged anew."""
    return [Message(MODELS, 0, key, None) for key in (HELD_KEY, ONLINE_KEY)]


async def recent_messages(consumer: AIOKafkaConsumer) -> list[ConsumerRecord]:
    """The newest messages of the topic, oldest first, with the snapshot in force among them if it can be found.

    While snapshots are held back the one in force falls behind: they name its offset.
    """
    messages: list[ConsumerRecord] = []
    for most in _SEARCHED:
        messages = [each async for each in read_to_end(consumer, await newest(consumer, [PARTITION], most))]
        if any(is_reset(each) or _is_snapshot(each) for each in messages):
            break
    if not any(is_reset(each) or (each.key == ONLINE_KEY and _is_snapshot(each)) for each in messages):
        messages = [*await _named_by(consumer, messages), *messages]
    return messages


async def read_recent(kafka: Connection) -> list[ConsumerRecord]:
    """The same by a consumer of its own."""
    consumer = kafka.consumer(auto_offset_reset="earliest")
    await consumer.start()
    try:
        return await recent_messages(consumer)
    finally:
        await consumer.stop()


async def _named_by(consumer: AIOKafkaConsumer, messages: list[ConsumerRecord]) -> list[ConsumerRecord]:
    """The message in force that the newest held one names."""
    for message in reversed(messages):
        named = dict(message.headers).get(_SERVED_AT, b"")
        begin = (await consumer.beginning_offsets([PARTITION]))[PARTITION]
        if message.key == HELD_KEY and named.isdigit() and begin <= int(named) < message.offset:
            consumer.seek(PARTITION, int(named))
            one = await consumer.getone(PARTITION)
            return [one] if one.offset == int(named) else []
    return []


def _is_snapshot(message: ConsumerRecord) -> bool:
    try:
        found_snapshot(message)
    except SnapshotError:
        return False
    return True


@dataclass
class Judge:
    """Decides which snapshot is in force, from the messages of the topic alone, so that all workers agree.

    A snapshot behind one seen before was written by a learner that has been suspended: stale. One that would move the
    blended scores of the reference rows by more than `most_move` on the average is held back until a person accepts it.
    """

    most_move: float = MOST_MOVE
    in_force: OnlineModels | None = None
    in_force_offset: int | None = None
    seen: int = -1
    held: int = 0
    last_move: float = 0.0
    _reference: ReferenceRows = field(default_factory=ReferenceRows)

    def take(self, found: FoundSnapshot, *, first: bool = False) -> Verdict:
        """Judge the next snapshot of the topic; the `first` has nothing to be measured by, and is taken.

        Raises `SnapshotError` if this riskmon has no such recipes.
        """
        candidate = OnlineModels.from_snapshot(found.snapshot)
        progress = found.snapshot.next_label_offset
        if not found.is_accepted and progress < self.seen:
            return "stale"
        self.seen = max(self.seen, progress)
        if found.key == HELD_KEY or not (found.is_accepted or first or self.is_near(candidate, found.snapshot)):
            self.held += 1
            return "held back"
        self.in_force, self.in_force_offset, self.held = candidate, found.offset, 0
        if found.snapshot.reference.rows:
            self._reference = found.snapshot.reference
        return "in force"

    def is_near(self, candidate: OnlineModels, snapshot: ModelSnapshot) -> bool:
        """Whether the candidate's scores of the reference rows are near enough to those in force."""
        reference = self._reference if self._reference.rows else snapshot.reference
        if not reference.rows:
            # Nothing was learnt from a label yet.
            self.last_move = 0.0
            return True
        before = self.in_force.blended(reference) if self.in_force else np.array(reference.forest_scores)
        self.last_move = float(np.abs(candidate.blended(reference) - before).mean())
        return self.last_move <= self.most_move
