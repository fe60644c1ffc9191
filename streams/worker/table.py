"""The Faust table of borrower states: whole rows, written by batch, that never go back in time.

Rows come in three ways: Faust's recovery and standby copies (`apply_changelog_batch`), what others have written and
this worker has read (`take`), and its own (`write`). The first two are judged by `streams.account.changelog`. Every row
also says up to which event it has gone, and none replaces one that has gone further: so a row that arrives late or
twice does no harm, nor do those of before there were claims.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import NamedTuple

import faust
import msgspec
from faust.stores import rocksdb
from faust.types import TP, EventT

from streams.account.changelog import Claims, Headers, Verdict, claim_key, is_borrower, is_clock
from streams.account.codec import applied_offset, decode_clock
from streams.kafka.changelog import LogRecord, Row

_log = logging.getLogger(__name__)


class AccountsTable(faust.Table):  # type: ignore[misc]
    """Rows of bytes by key, and up to where each partition's changelog is taken in."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        # A batch asks for a row to decide by and to count it; RocksDB is asked once.
        self._read: dict[bytes, bytes | None] = {}
        # Keys whose newest record in the changelog does not count, with their partition.
        self._overtaken: dict[bytes, int] = {}
        self._next: dict[int, int] = {}
        # The last offset that Faust gave, which is not the last that was taken in.
        self._fed: dict[int, int] = {}

    def row(self, key: bytes) -> bytes | None:
        """A row, or None."""
        if key not in self._read:
            self._read[key] = self.data.get(key)
        return self._read[key]

    def read_ahead(self, wanted: Iterable[tuple[int, list[bytes]]]) -> None:
        """Read the rows that a batch will ask for, keys by partition: RocksDB gives many at a third of each's price."""
        self._read.clear()
        if self._is_on_disk:
            for partition, keys in wanted:
                self._read.update(zip(keys, self.data._db_for_partition(partition).get(keys), strict=True))

    def states(self) -> Iterator[bytes]:
        """The borrowers' rows."""
        return (row for key, row in self.data.items() if is_borrower(key))

    def clocks(self) -> Iterator[bytes]:
        """The partition clocks' rows."""
        return (row for key, row in self.data.items() if is_clock(key))

    def next_offset(self, partition: int) -> int:
        """Up to where the changelog is taken in."""
        if partition not in self._next:
            persisted = self.data.persisted_offset(self._tp(partition))
            self._next[partition] = 0 if persisted is None else persisted + 1
        return self._next[partition]

    def overtaken(self, partitions: Iterable[int]) -> list[Row]:
        """Rows that count, of these partitions' keys whose newest record does not."""
        wanted = set(partitions)
        return [Row(number, key, self.row(key)) for key, number in sorted(self._overtaken.items()) if number in wanted]

    async def on_rebalance(self, *args: object, **kwargs: object) -> None:
        """Forget what was read: others may have written to partitions that come back."""
        self._read.clear()
        await super().on_rebalance(*args, **kwargs)

    async def on_recovery_completed(self, active_tps: Set[TP], standby_tps: Set[TP]) -> None:
        """Faust's store in memory drops the rows of all partitions but the active ones before it tells us."""
        if not self._is_on_disk:
            for partition in self._next.keys() - {tp.partition for tp in active_tps}:
                self._drop(partition)
        await super().on_recovery_completed(active_tps, standby_tps)

    def apply_changelog_batch(self, batch: Iterable[EventT[bytes]]) -> None:
        """Take what Faust reads of the changelog, for partitions of this worker and for standby copies."""
        records: list[LogRecord] = []
        for event in batch:
            message = event.message
            if message.offset <= self._fed.get(message.partition, -1) and not self._is_on_disk:
                # Faust begins again: what it has given of this partition before may not have been the whole.
                self.take(records)
                records = []
                self._drop(message.partition)
            self._fed[message.partition] = message.offset
            headers: Headers = tuple(message.headers or ())
            records.append(LogRecord(message.partition, message.offset, message.key, message.value, headers))
        self.take(records)

    def take(self, records: Sequence[LogRecord]) -> None:
        """Take in what follows in the changelog, and of that what counts."""
        judge, newest, ends = Claims(), dict[bytes, bytes | None](), dict[int, int]()
        taken: list[Written] = []
        for record in records:
            if record.offset < max(ends.get(record.partition, 0), self.next_offset(record.partition)):
                continue
            if record.partition not in ends and (claim := self._claim(record.partition)) is not None:
                judge.newest[record.partition] = claim
            ends[record.partition] = record.offset + 1
            if written := self._judged(record, judge, newest):
                taken.append(written)
        self._apply(taken)
        for partition, end in ends.items():
            self.skip_to(partition, end)

    def write(self, records: Sequence[LogRecord]) -> None:
        """Take in what this worker has just written, which goes on from what the table holds."""
        self._apply([self._written(record) for record in records])
        for record in records:
            self._next[record.partition] = record.offset + 1
            self._overtaken.pop(record.key or b"", None)

    def skip_to(self, partition: int, offset: int) -> None:
        """All before the offset is taken in; what is missing there does not count or is gone."""
        if offset > self.next_offset(partition):
            self._next[partition] = offset
            self.data.set_persisted_offset(self._tp(partition), offset - 1)

    def _judged(self, record: LogRecord, judge: Claims, newest: dict[bytes, bytes | None]) -> Written | None:
        """The record as the store takes it; None if it does not count."""
        verdict, key = judge.judge(*record), record.key
        if verdict is Verdict.FOREIGN or key is None:
            _log.warning("partition %d of the changelog: no row at %d, passed over", record.partition, record.offset)
            return None
        if verdict is Verdict.CLAIM:
            return self._written(record)._replace(value=str(record.offset).encode())
        held = newest[key] if key in newest else self.row(key)
        if verdict is Verdict.STALE or _is_older(key, record.value, held):
            if record.value != held:
                self._overtaken[key] = record.partition
            return None
        self._overtaken.pop(key, None)
        newest[key] = record.value
        return self._written(record)

    def _apply(self, rows: Sequence[Written]) -> None:
        super().apply_changelog_batch(rows)
        # Only these: a standby copy's rows come while a batch is decided, which has read ahead.
        for row in rows:
            self._read.pop(row.key, None)

    def _drop(self, partition: int) -> None:
        """Forget a partition of the store in memory."""
        self._next.pop(partition, None)
        self._fed.pop(partition, None)
        self._overtaken = {key: number for key, number in self._overtaken.items() if number != partition}
        of_key = self.data._key_partition
        for key in [key for key, number in of_key.items() if number == partition]:
            self.data.data.pop(key, None)
            self._read.pop(key, None)
            del of_key[key]

    def _claim(self, partition: int) -> int | None:
        held = self.data.get(claim_key(partition))
        return None if held is None else int(held)

    def _written(self, record: LogRecord) -> Written:
        return Written(self._tp(record.partition), record.partition, record.offset, record.key or b"", record.value)

    def _tp(self, partition: int) -> TP:
        return TP(self.changelog_topic_name, partition)

    @property
    def _is_on_disk(self) -> bool:
        return isinstance(self.data, rocksdb.Store)


class Written(NamedTuple):
    """A row of the changelog, with what Faust's stores ask of a changelog's message."""

    tp: TP
    partition: int
    offset: int
    key: bytes
    value: bytes | None

    @property
    def message(self) -> Written:
        """Itself: to Faust it is an event and its message in one."""
        return self


def _is_older(key: bytes, row: bytes | None, held: bytes | None) -> bool:
    """Whether a row is to give way to the one that is held; of equals the first stays."""
    if row is None or held is None or row == held:
        return False
    try:
        return _mark(key, row) <= _mark(key, held)
    except msgspec.MsgspecError:
        # Not for this place to judge: the worker stops when it loads the row, and says why.
        return False


def _mark(key: bytes, row: bytes) -> int:
    return decode_clock(row).applied_offset if is_clock(key) else applied_offset(row)
