"""What riskmon remembers of a borrower: immutable values, encoded as compact MessagePack arrays.

Units throughout: money is an integer of minor units (1/100 of the currency), a day is a proleptic
Gregorian ordinal (`date.toordinal`), an id digest is 64 bits of BLAKE2b. New fields go to the end
of a struct with a default, so that state written by an older worker still decodes.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

CLOCK_PREFIX = "\x00clock/"


class LoanStatus(StrEnum):
    """Default status: in default from 90 DPD, then a probation after the arrears are cleared."""

    PERFORMING = "performing"
    DEFAULT = "default"
    PROBATION = "probation"


class Strategy(StrEnum):
    """What collections should do; NONE once no loan is open."""

    NONE = "none"
    REMINDER = "automated_reminder"
    SETTLEMENT = "settlement_offer"
    RECOVERY = "aggressive_recovery"


class Segment(StrEnum):
    """The seed's four kinds of borrowers, told apart by income, loan, instalment, missed payments and DPD."""

    HIGH_INCOME_LOW_RISK = "high_income_low_default_risk"
    BALANCED = "balanced"
    MODERATE_INCOME_HIGH_BURDEN = "moderate_income_high_loan_burden"
    HIGH_LOAN_HIGHER_RISK = "high_loan_higher_default_risk"


class _Value(msgspec.Struct, frozen=True, array_like=True):
    pass


class LedgerEntry(_Value, frozen=True, array_like=True, gc=False):
    """A payment inside the ledger window; `amount` is 0 while only its reversal has been seen."""

    payment: int
    value_day: int
    amount: int
    is_reversed: bool


class Loan(_Value, frozen=True, array_like=True):
    """One loan: its terms, the payments of the ledger window, and the sums of what is older."""

    loan_id: str
    opened_day: int
    principal: int
    emi: int
    annual_rate_e4: int
    tenure: int
    first_due: int
    monthly_income: int
    collateral: int
    employment: str
    ledger: tuple[LedgerEntry, ...] = ()
    folded_paid: int = 0
    folded_instalments: int = 0
    folded_missed: int = 0
    folded_last_paid: int = 0
    status: LoanStatus = LoanStatus.PERFORMING
    status_since: int = 0
    worst_dpd: int = 0
    closed: str = ""
    closed_day: int = 0
    opened_by: int = 0


class Account(_Value, frozen=True, array_like=True):
    """A borrower's loans as of one day, and the digests of the events already applied."""

    borrower_id: str
    as_of: int
    loans: tuple[Loan, ...] = ()
    recent: tuple[tuple[int, int], ...] = ()


class Snapshot(_Value, frozen=True, array_like=True):
    """The features and predictions of one scoring, kept until its outcome is known."""

    loan_id: str
    instalment: int
    due_day: int
    scored_day: int
    priority: int
    features: tuple[float, ...]
    p_forest: float
    p_online: float
    p_blend: float
    forest_version: str
    online_version: int
    p_contenders: dict[str, float] = {}


class Watch(_Value, frozen=True, array_like=True):
    """What riskmon thinks of a borrower: strategy in force, last score and segment, open predictions."""

    strategy: Strategy = Strategy.REMINDER
    score: float = 0.0
    pending: tuple[Snapshot, ...] = ()
    days_past_due: int = 0
    arrears: int = 0
    has_open_loan: bool = True
    segment: Segment | None = None


class Outgoing(_Value, frozen=True, array_like=True):
    """A message decided with a state: it is sent again from here if a crash came between.

    `kind` is "action" or "label" with the message itself, or "outcome" with what a label is made of.
    """

    kind: str
    offset: int
    key: bytes
    value: bytes


class KnownState(_Value, frozen=True, array_like=True):
    """What the next event is applied to: account, watch, and the offset watermark that makes applying idempotent."""

    account: Account
    watch: Watch
    partition: int
    applied_offset: int


class BorrowerState(KnownState, frozen=True, array_like=True):
    """One row of the table: what is known, and the messages that were decided with it."""

    outbox: tuple[Outgoing, ...] = ()


class PartitionClock(_Value, frozen=True, array_like=True):
    """The last business day closed on a partition, and the offset of the tick that closed it."""

    partition: int
    day: int
    applied_offset: int


class _Marked(msgspec.Struct, array_like=True):
    account: msgspec.Raw
    watch: msgspec.Raw
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
    return _state_decoder.decode(data)


def decode_known(row: bytes) -> KnownState:
    """A borrower's encoded state without its outbox, which is most of its bytes."""
    return _known_decoder.decode(row)


def decode_clock(data: bytes) -> PartitionClock:
    """The inverse of `encode`; raises `msgspec.DecodeError` on foreign bytes."""
    return _clock_decoder.decode(data)


def applied_offset(row: bytes) -> int:
    """The events offset up to which a borrower's encoded state has gone, without decoding the rest of it."""
    return _marked_decoder.decode(row).applied_offset


def digest(identifier: str) -> int:
    """64 bits that stand for an id. Two of a borrower's some 20 remembered ids collide with p < 1e-16."""
    return int.from_bytes(hashlib.blake2b(identifier.encode(), digest_size=8).digest())
