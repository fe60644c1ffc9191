"""What riskmon remembers of a borrower: immutable values, encoded as compact MessagePack arrays.

Units throughout: money is an integer of minor units (1/100 of the currency), a day is a proleptic
Gregorian ordinal (`date.toordinal`), an id digest is 64 bits of BLAKE2b. New fields go to the end
of a struct with a default, so that state written by an older worker still decodes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from streams.account.decision_state import DecisionState
from streams.account.loan import Account, Loan, Milestone, StatusThen, Value

_EPOCH_DAY = date(1970, 1, 1).toordinal()

CLOCK_PREFIX = "\x00clock/"


class RowUnreadableError(RuntimeError):
    """A row of the table cannot be read. That is no event's fault: the batch has to be read again."""


class OutboxEntry(Value, frozen=True, array_like=True):
    """A message decided with a state: it is sent again from here if a crash came between.

    `kind` is "action" or "label" with the message itself, or "outcome" with what a label is made of.
    """

    kind: str
    offset: int
    key: bytes
    value: bytes


class KnownState(Value, frozen=True, array_like=True):
    """What the next event is applied to: account, decision, and the offset watermark that makes applying idempotent."""

    account: Account
    decision: DecisionState
    partition: int
    applied_offset: int


class BorrowerState(KnownState, frozen=True, array_like=True):
    """One row of the table: what is known, and the messages that were decided with it."""

    outbox: tuple[OutboxEntry, ...] = ()


_Row = TypeVar("_Row", bound=KnownState)


class PartitionClock(Value, frozen=True, array_like=True):
    """The last business day closed on a partition, and the offset of the tick that closed it.

    `closings` are the offset and day of the ticks before and that one, oldest first: a record that is delivered again
    is judged by the day that was closed before it, not by a later one.
    `topic_id` is Kafka's of the events topic whose offsets the partition's rows count; empty where it is not known.
    """

    partition: int
    day: int
    applied_offset: int
    closings: tuple[tuple[int, int], ...] = ()
    topic_id: str = ""


class _Marked(msgspec.Struct, array_like=True):
    account: msgspec.Raw
    decision: msgspec.Raw
    partition: int
    applied_offset: int


_encoder = msgspec.msgpack.Encoder()
_marked_decoder = msgspec.msgpack.Decoder(_Marked)
_known_decoder = msgspec.msgpack.Decoder(KnownState)
_state_decoder = msgspec.msgpack.Decoder(BorrowerState)
_clock_decoder = msgspec.msgpack.Decoder(PartitionClock)


def encode(value: BorrowerState | PartitionClock) -> bytes:
    """A state as it stands in the table and its changelog."""
    return _encoder.encode(value)


def decode_state(data: bytes) -> BorrowerState:
    """The inverse of `encode`; raises `msgspec.DecodeError` on foreign bytes."""
    return _current(_state_decoder.decode(data))


def decode_known(row: bytes) -> KnownState:
    """A borrower's encoded state without its outbox, which is most of its bytes."""
    return _current(_known_decoder.decode(row))


def look_up(lookup: Callable[[str], bytes | None], key: str) -> KnownState | None:
    """A borrower's state by a table's own look-up, None where there is no row. Raises `RowUnreadableError`."""
    try:
        row = lookup(key)
        return decode_known(row) if row is not None else None
    except Exception as error:
        raise RowUnreadableError(f"a row of the account table cannot be read: {type(error).__name__}") from error


def decode_clock(data: bytes) -> PartitionClock:
    """The inverse of `encode`; raises `msgspec.DecodeError` on foreign bytes."""
    return _clock_decoder.decode(data)


def origin(row: bytes) -> tuple[int, int]:
    """The partition of a borrower's encoded state, and the offset up to which it has gone."""
    marked = _marked_decoder.decode(row)
    return marked.partition, marked.applied_offset


def applied_offset(row: bytes) -> int:
    """The events offset up to which a borrower's encoded state has gone, without decoding the rest of it."""
    return _marked_decoder.decode(row).applied_offset


def _current(state: _Row) -> _Row:
    """The state as it is written today: an older worker's loans had the account's calendar and kept no milestones."""
    for loan in state.account.loans:
        if not loan.told_to:
            break
    else:
        return state
    as_of = state.account.as_of
    loans = tuple(loan if loan.told_to else _of_today(loan, as_of) for loan in state.account.loans)
    return replace(state, account=replace(state.account, loans=loans))


def _of_today(loan: Loan, as_of: int) -> Loan:
    end = Milestone(loan.closed_day, loan.closed, (loan.closed_day - _EPOCH_DAY + 1) * 86_400, 0)
    return replace(
        loan,
        told_to=as_of,
        closed_to=as_of,
        status_then=StatusThen(as_of, loan.status, loan.status_since, loan.worst_dpd),
        milestones=(end,) if loan.closed else (),
    )
