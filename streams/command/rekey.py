"""What each row of the account table becomes when the events topic gets more partitions. Pure: rows in, rows out.

A row carries the partition of its borrower's events and up to which offset of it they are applied (the watermark). On
another partition both are others. All that was read before the move is applied, so the watermark becomes the last
offset before those from which the workers go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import msgspec
from aiokafka.partitioner import murmur2

from streams.account.changelog import Claims, Verdict, is_borrower, is_clock
from streams.account.codec import CLOCK_PREFIX, PartitionClock, applied_offset, decode_clock, decode_state, encode
from streams.kafka.changelog import LogRecord, Row

_POSITIVE = 0x7FFFFFFF


class RekeyError(ValueError):
    """The state cannot be brought to other partitions as it stands; the text says what to do first."""


class Move(NamedTuple):
    """From how many partitions to how many, and from which offset on the workers read each of the new ones."""

    before: int
    after: int
    resume_at: Mapping[int, int]


def home(key: bytes, partitions: int) -> int:
    """The partition of a key: murmur2, as the Java client and aiokafka choose it."""
    hashed: int = murmur2(key)
    return (hashed & _POSITIVE) % partitions


class CountingRows:
    """The newest row of each key of one partition of a changelog, of those that count; records come in order."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.is_claimed = False
        self._judge = Claims()

    def take(self, record: LogRecord) -> None:
        """Take in the next record."""
        verdict, key = self._judge.judge(*record), record.key
        self.is_claimed |= verdict is Verdict.CLAIM
        if verdict is not Verdict.COUNTS or key is None:
            return
        if record.value is None:
            self.rows.pop(key, None)
        elif _goes_on_from(key, record.value, self.rows.get(key)):
            self.rows[key] = record.value


def moved_rows(rows: Mapping[bytes, bytes], partition: int, move: Move) -> Iterator[Row]:
    """The borrowers' rows of one partition as they stand after the move.

    Raises `RekeyError` if a row has gone further than the group: then messages may still be unsent.
    """
    for key, value in rows.items():
        if not is_borrower(key):
            continue
        state = decode_state(value)
        if state.partition != partition or state.applied_offset >= move.resume_at[partition]:
            raise RekeyError(
                f"the row of {key.decode(errors='replace')!r} on partition {partition} holds event "
                f"{state.partition}@{state.applied_offset}, but the group has committed {move.resume_at[partition]}: a "
                "worker was killed. Start the workers once, stop them with SIGTERM, and run this again"
            )
        number = home(key, move.after)
        changed = msgspec.structs.replace(state, partition=number, applied_offset=move.resume_at[number] - 1, outbox=())
        yield Row(number, key, encode(changed))


def moved_clocks(clocks: Sequence[PartitionClock], move: Move) -> Iterator[Row]:
    """A clock for every partition, all at the same business day. Raises `RekeyError` where the days differ."""
    if not clocks:
        return
    days = dict.fromkeys(range(move.before), 0) | {clock.partition: clock.day for clock in clocks}
    if len(set(days.values())) > 1:
        told = ", ".join(f"{number}: {_day(days[number])}" for number in sorted(days))
        raise RekeyError(
            f"the partitions have not closed the same business day ({told}): publish the missing day_closed, let the "
            "workers apply it, and run this again"
        )
    own = {clock.partition: clock for clock in clocks}
    for number in range(move.after):
        mark = move.resume_at[number] - 1
        clock = own.get(number) or PartitionClock(number, clocks[0].day, mark)
        yield Row(number, _clock_key(number), encode(msgspec.structs.replace(clock, applied_offset=mark)))


def clocks_of(rows: Mapping[bytes, bytes]) -> list[PartitionClock]:
    """The clocks among rows."""
    return [decode_clock(value) for key, value in rows.items() if is_clock(key)]


def _clock_key(number: int) -> bytes:
    return f"{CLOCK_PREFIX}{number}".encode()


def _day(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat() if ordinal else "none"


def _goes_on_from(key: bytes, row: bytes, held: bytes | None) -> bool:
    """Whether a row replaces the one that is held; of rows that have gone equally far the first stays."""
    return held is None or _mark(key, row) > _mark(key, held)


def _mark(key: bytes, row: bytes) -> int:
    return decode_clock(row).applied_offset if is_clock(key) else applied_offset(row)
