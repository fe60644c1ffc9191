"""A loan and a borrower's account: immutable values, encoded as compact MessagePack arrays.

Units throughout: money is an integer of minor units (1/100 of the currency), a day is a proleptic
Gregorian ordinal (`date.toordinal`), an id digest is 64 bits of BLAKE2b. New fields go to the end
of a struct with a default, so that state written by an older worker still decodes.
"""

from __future__ import annotations

import hashlib

import msgspec

from streams.contracts.vocabulary import LoanStatus


class Value(msgspec.Struct, frozen=True, array_like=True):
    pass


class LedgerEntry(Value, frozen=True, array_like=True, gc=False):
    """A payment inside the ledger window; `amount` is 0 while only its reversal has been seen."""

    payment: int
    value_day: int
    amount: int
    is_reversed: bool


class Loan(Value, frozen=True, array_like=True):
    """One loan: its terms, the payments of the ledger window, and the sums of what is older.

    `folded_to` is the day up to which payments were summed up: a payment with an older value date may be in the sum.
    """

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
    folded_to: int = 0


class Account(Value, frozen=True, array_like=True):
    """A borrower's loans as of one day, and the digests of the events already applied."""

    borrower_id: str
    as_of: int
    loans: tuple[Loan, ...] = ()
    recent: tuple[tuple[int, int], ...] = ()


def digest(identifier: str) -> int:
    """64 bits that stand for an id. Two of a borrower's some 20 remembered ids collide with p < 1e-16."""
    return int.from_bytes(hashlib.blake2b(identifier.encode(), digest_size=8).digest())
