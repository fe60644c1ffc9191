"""The learner's place on the models topic: what it has published, and whether anybody else has.

Every write's offset must be the one that comes next. Between two writes nobody else has a say, except a person who
accepts or resets, and a learner that was suspended and does not know yet that it has a successor.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from aiokafka import ConsumerRecord

from models.serving.linear import SnapshotError
from monitoring import metrics
from streams.contracts.snapshots import ModelSnapshot
from streams.contracts.topics import MODELS
from streams.kafka.connection import Connection
from streams.kafka.producer import Sink
from streams.kafka.reader import note_foreign, read_to_end
from streams.kafka.snapshots import (
    HELD_KEY,
    ONLINE_KEY,
    PARTITION,
    FoundSnapshot,
    Judge,
    OlderSnapshotError,
    found_snapshot,
    held_message,
    is_reset,
    online_message,
    recent_messages,
)
from streams.learner.state import LearnerState
from streams.score import OnlineModels

_log = logging.getLogger(__name__)


class NoUsableSnapshotError(ValueError):
    """The models topic holds messages, and none of them is a snapshot; the text says what to do."""


class Progress:
    """Publishes the learner's snapshots, under the key `online` or, if they move scores too far, under `held`."""

    def __init__(self, kafka: Connection, sink: Sink, most_move: float) -> None:
        self._kafka = kafka
        self._sink = sink
        self._most_move = most_move
        self._judge = Judge(most_move)
        self._next = 0
        self._newest: ModelSnapshot | None = None

    async def load(self) -> ModelSnapshot | None:
        """The snapshot that is furthest ahead; None if there is none, or only ones of an older riskmon.

        If a stale one stands behind it, it is written again. Raises `NoUsableSnapshotError`.
        """
        consumer = self._kafka.consumer(auto_offset_reset="earliest")
        try:
            await consumer.start()
            messages = await recent_messages(consumer)
            self._next = (await consumer.end_offsets([PARTITION]))[PARTITION]
        finally:
            await consumer.stop()
        found, is_older = self._usable(messages)
        self._judge, self._newest = Judge(self._most_move), None
        for each in found:
            self._judge.take(each, first=self._judge.in_force is None)
        self._newest = _furthest(found)
        if self._newest is None:
            _assert_may_start_over(messages, is_older)
        elif found[-1].snapshot.next_label_offset < self._newest.next_label_offset:
            await self._publish(self._newest)
        return self._newest

    async def save(self, snapshot: ModelSnapshot) -> bool:
        """Publish what was learnt; False if another learner is further ahead, and this one must load anew."""
        if not await self.look():
            return False
        self._newest = snapshot
        return await self._publish(snapshot)

    async def look(self) -> bool:
        """Read what a stranger has written since, if anybody has; False if this learner must load anew.

        What a stranger has put behind a snapshot that is further ahead is covered by that one again.
        """
        consumer = self._kafka.consumer(auto_offset_reset="earliest")
        try:
            await consumer.start()
            end = (await consumer.end_offsets([PARTITION]))[PARTITION]
            if end == self._next:
                return True
            messages = [each async for each in read_to_end(consumer, {PARTITION: min(self._next, end)})]
            self._next = end
        finally:
            await consumer.stop()
        verdicts = [self._is_ahead_of(message) for message in messages]
        if all(verdicts) and messages and self._newest is not None:
            return await self._publish(self._newest)
        return all(verdicts)

    def _is_ahead_of(self, message: ConsumerRecord) -> bool:
        """Whether this learner may go on after what a stranger has written."""
        _log.error("%s-0@%d was not written by this learner", MODELS, message.offset)
        if is_reset(message):
            self._newest = None
            return False
        try:
            theirs = found_snapshot(message)
            if theirs.is_accepted:
                self._judge.take(theirs)
                _log.warning("a person has accepted snapshot %d: it is in force", theirs.offset)
                return True
            LearnerState(theirs.snapshot)
        except SnapshotError as error:
            _note_unusable(message, error)
            return True
        ours = self._newest.next_label_offset if self._newest else -1
        if theirs.snapshot.next_label_offset < ours:
            metrics.STALE_SNAPSHOTS.inc()
        return theirs.snapshot.next_label_offset <= ours

    async def _publish(self, snapshot: ModelSnapshot) -> bool:
        """Write a snapshot where it belongs; False if the offset it got shows that another learner is ahead."""
        message = online_message(snapshot)
        found = FoundSnapshot(self._next, ONLINE_KEY, False, snapshot)
        if self._judge.take(found, first=False) == "held back":
            self._tell_held(snapshot)
            message = held_message(snapshot, self._judge.in_force_offset)
        metrics.SNAPSHOTS_HELD_BACK.set(self._judge.held)
        expected = self._next
        (offset,) = await self._sink.write([message])
        if offset == expected:
            self._next = offset + 1
            return True
        return await self.look()

    @staticmethod
    def _usable(messages: Sequence[ConsumerRecord]) -> tuple[list[FoundSnapshot], bool]:
        """The snapshots since the last reset, in order, and whether an older riskmon's are among the messages."""
        found: list[FoundSnapshot] = []
        is_older = False
        for message in messages:
            if is_reset(message):
                found = []
                continue
            try:
                each = found_snapshot(message)
                OnlineModels.from_snapshot(each.snapshot)
                found.append(each)
            except SnapshotError as error:
                is_older = is_older or isinstance(error, OlderSnapshotError)
                _note_unusable(message, error)
        return found, is_older

    def _tell_held(self, snapshot: ModelSnapshot) -> None:
        if self._judge.held == 1:
            _log.error(
                "the models after %d labels are held back: they would move the scores by %.2f on the average, more "
                "than %.2f. Look at them; `riskmon models accept` puts them in force",
                snapshot.labels_learnt,
                self._judge.last_move,
                self._most_move,
            )


def _furthest(found: Sequence[FoundSnapshot]) -> ModelSnapshot | None:
    """The snapshot that is furthest ahead, of equal ones the last, among those that learning can go on from."""
    for each in sorted(found, key=lambda each: (each.snapshot.next_label_offset, each.offset), reverse=True):
        try:
            LearnerState(each.snapshot)
        except SnapshotError as error:
            _log.error("snapshot %d is not usable: %s", each.offset, error)
        else:
            return each.snapshot
    return None


def _note_unusable(message: ConsumerRecord, error: SnapshotError) -> None:
    # The tombstones of a reset are riskmon's.
    if message.value is not None or message.key not in (ONLINE_KEY, HELD_KEY):
        note_foreign(message, str(error))


def _assert_may_start_over(messages: Sequence[ConsumerRecord], is_older: bool) -> None:
    """An empty or reset topic and one of an older riskmon may be learnt anew; damage needs a person."""
    if is_older:
        _log.error("the newest snapshot is not usable, learning starts over: schema_version of an older riskmon")
    elif messages and not any(is_reset(each) for each in messages):
        raise NoUsableSnapshotError(
            f"none of the newest {len(messages)} messages of {MODELS} is a snapshot that this riskmon can use (the log "
            "says why): bring back the learner's version that wrote them, or let learning start over: "
            "`riskmon models reset`"
        )
