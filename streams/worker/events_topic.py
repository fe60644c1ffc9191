"""The events topic as the worker's state knows it: the same topic, whole, and without a gap where reading goes on.

A state takes events up to its offset as applied. If the topic is made anew, restored from an older copy or has lost its
end, new events come at old offsets, and would vanish as applied before. If its beginning expires before it was read,
events are gone. The first stops the worker before it is too late; the second is said loudly, for nothing can be done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import NoReturn

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from monitoring import metrics
from streams.consume import Run
from streams.contracts.topics import EVENTS
from streams.kafka.connection import BrokerAwayError, Connection
from streams.kafka.continuity import Continuity, SkippedRecordsError, look_into
from streams.kafka.topic_state import LogSpan, log_spans, topic_id

_log = logging.getLogger(__name__)
_ASK_SECONDS = 5.0
# A broker that has just started may not know its topics yet.
_MISSING_ANSWERS = 3


class EventsTopicError(RuntimeError):
    """The events topic is not the one that the state was built from; the text says what to do."""


class EventsTopic:
    """Compares the topic with the state of this worker's partitions. `id` is None before the first load."""

    def __init__(self, kafka: Connection, application: str) -> None:
        self._kafka = kafka
        self._application = application
        self._continuity = Continuity({})
        self.id: str | None = None

    async def begin(
        self, owned: Collection[int], committed: Mapping[int, int], applied: Mapping[int, int], ids: Mapping[int, str]
    ) -> dict[int, int]:
        """Where to read on, by partition, or raise `EventsTopicError`.

        `applied` is the highest offset that the state holds, `ids` the topic's id that stands with it.
        """
        found = await topic_id(self._kafka, EVENTS)
        self._compare_ids(self.id, found)
        self.id = found
        logs = await log_spans(self._kafka, [TopicPartition(EVENTS, each) for each in owned])
        starts = {}
        for tp, log in logs.items():
            # Shown as 0 from the start: a counter that is born with its first event hides that one.
            metrics.EXPIRED_RECORDS.labels(tp.partition)
            self._compare_ids(ids.get(tp.partition), found)
            starts[tp.partition] = self._start(tp.partition, log, committed, applied)
        self._continuity = Continuity(starts)
        return starts

    async def passed(self, run: Run) -> None:
        """Look at what lies before a run. Raises if records were skipped, or if the topic is another one.

        What has expired is told and passed over.
        """
        if run.start < self._continuity.next_offset(run.partition):
            # Faust may read some again. A topic made anew begins from the front as well.
            await self.check()
        hole = self._continuity.hole(run.partition, range(run.start, run.stop))
        if not hole:
            return
        content = await look_into(self._kafka, TopicPartition(EVENTS, run.partition), hole)
        if content.expired:
            _tell_expired(run.partition, content.expired)
        if content.holds_record:
            raise SkippedRecordsError(f"partition {run.partition}: {hole} was skipped before {hole.stop}")

    async def check(self) -> None:
        """Raise `EventsTopicError` if the topic is another one by now."""
        if self.id:
            self._compare_ids(self.id, await topic_id(self._kafka, EVENTS))

    async def follow(self) -> None:
        """Check again and again; while Kafka is away nothing is known."""
        missing = 0
        while True:
            await asyncio.sleep(_ASK_SECONDS)
            try:
                await self.check()
                missing = 0
            except UnknownTopicOrPartitionError:
                missing += 1
                if missing >= _MISSING_ANSWERS:
                    self._stop(f"{EVENTS} has been deleted")
            except (KafkaError, BrokerAwayError, OSError) as error:
                _log.debug("the topic's id is not known, trying again: %s", error)

    def _start(self, partition: int, log: LogSpan, committed: Mapping[int, int], applied: Mapping[int, int]) -> int:
        known = max(committed.get(partition, 0), applied.get(partition, -1) + 1)
        if known > log.end:
            self._stop(
                f"partition {partition} of {EVENTS} ends at offset {log.end}, but this application has read up to "
                f"{known}: the topic was made anew, restored from an older copy, or has lost its end"
            )
        expired = expired_unread(log, committed.get(partition), applied.get(partition, -1))
        if expired:
            _tell_expired(partition, expired)
        return expired.stop

    def _compare_ids(self, known: str | None, now: str | None) -> None:
        if known and now and known != now:
            self._stop(f"{EVENTS} has the id {now}, but the state was built from {known}: the topic was made anew")

    def _stop(self, what: str) -> NoReturn:
        raise EventsTopicError(
            f"{what}. New events would be taken as applied before, so nothing is read. If the topic as it is now "
            f"holds all events, set RISKMON_APPLICATION to a new name instead of {self._application}: the state is "
            "built anew from it. Otherwise bring the old topic back first."
        )


def expired_unread(log: LogSpan, committed: int | None, applied: int) -> range:
    """What a log has lost that was never read, be it nothing; reading goes on where it stops.

    Kafka forgets the commits of a group that was away for long. Then the state knows how far it was, if there is one.
    """
    if committed is None:
        committed = applied + 1 if 0 <= applied < log.begin else log.begin
    return range(committed, max(committed, log.begin))


def _tell_expired(partition: int, expired: range) -> None:
    metrics.EXPIRED_RECORDS.labels(partition).inc(len(expired))
    _log.error(
        "partition %d of %s: offsets %d to %d were deleted before they were read, by retention or by hand: the events "
        "there are not in the state. Send them again if their source still has them",
        partition,
        EVENTS,
        expired.start,
        expired.stop - 1,
    )
