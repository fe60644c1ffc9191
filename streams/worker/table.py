"""The Faust table of borrower states: whole rows, written by batch, that never go back in time.

A worker that was suspended past its session may still get a row into the changelog after its successor has written a
later one. Every row says up to which event it has gone, so such a row is recognised when the changelog is read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import faust
import msgspec
from faust.stores import rocksdb
from faust.types import TP, EventT

from streams.account.codec import CLOCK_PREFIX, applied_offset, decode_clock, decode_state
from streams.write import Row

_log = logging.getLogger(__name__)


class AccountsTable(faust.Table):  # type: ignore[misc]
    """Rows of bytes by key. `overtaken` names the keys whose newest row in the changelog is a stale one."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.overtaken: set[bytes] = set()
        # A batch asks for a row to decide by and to count it; RocksDB is asked once.
        self._read: dict[bytes, bytes | None] = {}

    def row(self, key: bytes) -> bytes | None:
        """A row, or None."""
        if key not in self._read:
            self._read[key] = self.data.get(key)
        return self._read[key]

    def read_ahead(self, wanted: Iterable[tuple[int, list[bytes]]]) -> None:
        """Read the rows that a batch will ask for, keys by partition: RocksDB gives many at a third of each's price."""
        self._read.clear()
        if isinstance(self.data, rocksdb.Store):
            for partition, keys in wanted:
                self._read.update(zip(keys, self.data._db_for_partition(partition).get(keys), strict=True))

    async def on_rebalance(self, *args: object, **kwargs: object) -> None:
        """Forget what was read: others may have written to partitions that come back."""
        self._read.clear()
        await super().on_rebalance(*args, **kwargs)

    def states(self) -> Iterator[bytes]:
        """The borrowers' rows."""
        return (row for key, row in self.data.items() if not _is_clock(key))

    def clocks(self) -> Iterator[bytes]:
        """The partition clocks' rows."""
        return (row for key, row in self.data.items() if _is_clock(key))

    def apply_changelog_batch(self, batch: Iterable[EventT[bytes]]) -> None:
        """Take rows that are in the changelog into the store, but none that is older than what it holds."""
        newest: dict[bytes, int] = {}
        super().apply_changelog_batch([event for event in batch if self._is_in_order(event.message, newest)])
        self._forget(newest)

    def write(self, rows: Sequence[Written]) -> None:
        """Take this worker's own rows into the store; they go on from the rows that it holds."""
        super().apply_changelog_batch(rows)
        self._forget(row.key for row in rows)
        self.overtaken.difference_update(row.key for row in rows)

    def overtaken_rows(self) -> list[Row]:
        """The rows to put behind the stale ones."""
        found = [(key, row) for key in sorted(self.overtaken) if (row := self.row(key)) is not None]
        if found:
            _log.warning("%d stale rows of a suspended worker are put right in the changelog", len(found))
        return [Row(_partition_of(key, row), key, row) for key, row in found]

    def _forget(self, keys: Iterable[bytes]) -> None:
        """Only these: a standby copy's rows come while a batch is decided, which has read ahead."""
        for key in keys:
            self._read.pop(key, None)

    def _is_in_order(self, message: faust.types.Message, newest: dict[bytes, int]) -> bool:
        key: bytes = message.key
        if key not in newest:
            held = self.row(key)
            newest[key] = _mark(key, held) if held else -1
        try:
            mark = _mark(key, message.value)
        except msgspec.MsgspecError:
            # Not for this place to judge: the worker stops when it loads the row, and says why.
            return True
        if mark < newest[key]:
            self.overtaken.add(key)
            return False
        self.overtaken.discard(key)
        newest[key] = mark
        return True


class Written(NamedTuple):
    """A row that this worker has put into the changelog, with what Faust's stores ask of a changelog's message."""

    tp: TP
    partition: int
    offset: int
    key: bytes
    value: bytes | None

    @property
    def message(self) -> Written:
        """Itself: to Faust it is an event and its message in one."""
        return self


def _partition_of(key: bytes, row: bytes) -> int:
    """The partition a row belongs to."""
    return decode_clock(row).partition if _is_clock(key) else decode_state(row).partition


def _is_clock(key: bytes) -> bool:
    return key.startswith(CLOCK_PREFIX.encode())


def _mark(key: bytes, row: bytes) -> int:
    return decode_clock(row).applied_offset if _is_clock(key) else applied_offset(row)
