"""Batches that cannot be opened: damaged, in an unknown codec, or a bomb.

aiokafka raises what is wrong with a batch into whoever reads, again and again at the same offset. Here a stand-in takes
the place of each record that cannot be had, so that a reader goes on behind it and can say what is missing.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from streams.contracts.refusals import RefusalReason
from streams.kafka.codecs import MOST_TOGETHER, BatchTooLargeError, bound_codecs, opened_bytes

_log = logging.getLogger(__name__)
# A batch may have been damaged on its way here and not where it is kept.
_TRIES = 3
# The count of a batch may be what is damaged: no real batch holds more.
_MOST_RECORDS = 10_000_000
_MOST_REMEMBERED = 1_000
_EARLIER_TRIES: Counter[tuple[TopicPartition, int]] = Counter()


@dataclass
class UnreadableRecord(ConsumerRecord):  # type: ignore[misc]
    """In place of a record that cannot be had: it has an offset, and neither key nor value."""

    reason: RefusalReason = "undecodable"
    detail: str = ""


class ReadableRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """What a fetch brought of one partition: never an error, and a bounded amount at a time.

    `next_fetch_offset` says how far it has been read, over records, markers of transactions and what was aborted.
    """

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        try:
            yield from super()._unpack_records()
        except MemoryError:
            raise
        except Exception as error:
            yield from self._stand_ins(error)

    def _stand_ins(self, error: Exception) -> Iterator[ConsumerRecord]:
        """One for each record that could not be had; what is behind them is fetched anew."""
        first = self.next_fetch_offset
        is_bomb = isinstance(error, BatchTooLargeError)
        if not is_bomb and not self._has_failed_often(first):
            return
        last = _last_offset(self._records.newest, first)
        detail = str(error) if is_bomb else f"the batch cannot be decoded: {error or type(error).__name__}"
        _log.error(
            "%s %d: %s; its offsets %d to %d are passed over", self._tp.topic, self._tp.partition, detail, first, last
        )
        for offset in range(first, last + 1):
            self.next_fetch_offset = offset + 1
            yield _stand_in(self._tp, offset, "too_large" if is_bomb else "undecodable", detail)

    def _has_failed_often(self, offset: int) -> bool:
        tries = _EARLIER_TRIES
        if len(tries) > _MOST_REMEMBERED:
            tries.clear()
        tries[self._tp, offset] += 1
        if tries[self._tp, offset] < _TRIES:
            return False
        del tries[self._tp, offset]
        return True


class FetchedBatches:
    """aiokafka's batches of one fetch, up to `MOST_TOGETHER` opened; `newest` is the one that is being read."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        # Kafka sends the first batch whole, however large it is: if it is not, its length is damaged.
        self._is_cut = bool(data) and not self._records.has_next()
        self._opened_before: int | None = None
        self.newest: Any = None

    def size_in_bytes(self) -> int:
        """Of the fetch, as it came."""
        size: int = self._records.size_in_bytes()
        return size

    def has_next(self) -> bool:
        """Whether there is another batch, and room to open it; what is left is fetched anew."""
        if self._opened_before is not None and opened_bytes() - self._opened_before > MOST_TOGETHER:
            return False
        more: bool = self._is_cut or self._records.has_next()
        return more

    def next_batch(self) -> Any:
        """The next batch. Raises `CorruptRecordException` where none can be told from the bytes."""
        if self._opened_before is None:
            self._opened_before = opened_bytes()
        self.newest = None
        if self._is_cut:
            raise CorruptRecordException("its length goes past what Kafka has sent")
        self.newest = self._records.next_batch()
        return self.newest


def read_past_what_is_unreadable() -> None:
    """Make every consumer of this process read by this module; aiokafka has no setting for it."""
    bound_codecs()
    fetcher.MemoryRecords = FetchedBatches
    fetcher.PartitionRecords = ReadableRecords


def _last_offset(batch: Any, first: int) -> int:
    """The last offset of a batch, as far as it can be believed: at least `first`."""
    if batch is None:
        return first
    last = int(batch.next_offset) - 1
    return last if first <= last < first + _MOST_RECORDS else first


def _stand_in(tp: TopicPartition, offset: int, reason: RefusalReason, detail: str) -> UnreadableRecord:
    return UnreadableRecord(tp.topic, tp.partition, offset, 0, 0, None, None, None, -1, -1, (), reason, detail)
