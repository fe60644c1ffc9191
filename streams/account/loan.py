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
    reversed_day: int = 0


class Waiting(Value, frozen=True, array_like=True):
    """A reversal whose payment has not come: the message as it came, to be put aside if the payment never does."""

    payment: int
    event: int
    told_day: int
    partition: int
    offset: int
    timestamp_ms: int
    message: bytes


class Hold(Value, frozen=True, array_like=True):
    """Days, both ends included, in which something is paused; `loan_id` is empty for all of the borrower's loans.

    `lifted` is the first day that is not held any more, 0 where nobody lifted it. Without an `effect` only
    that is known.
    """

    name: int
    loan_id: str = ""
    effect: str = ""
    first: int = 0
    last: int = 0
    lifted: int = 0
    reason: str = ""

    @property
    def end(self) -> int:
        """The last day that is held."""
        return min(self.last, self.lifted - 1) if self.lifted else self.last


class Milestone(Value, frozen=True, array_like=True):
    """When a loan was closed (`kind` is the reason) or opened again: day, seconds since 1970, digest of the event."""

    day: int
    kind: str
    second: int
    event: int


class StatusThen(Value, frozen=True, array_like=True, gc=False):
    """Default status at the close of a day, since when, and the most days past due until then."""

    day: int
    status: LoanStatus
    since: int
    worst_dpd: int


class Run(Value, frozen=True, array_like=True, gc=False):
    """Obligations of one amount: the first due day, how many, and one every `months` months or every `days` days.

    A bill is a run of one: `number` stands on it, `billed_on` is its statement's day, and `credit` is what had been
    paid too much by then, which pays no later bill. Of a run that was cut in parts, `skipped` of its obligations come
    before this part.
    """

    first_due: int
    count: int
    amount: int
    months: int = 1
    days: int = 0
    number: int = 0
    billed_on: int = 0
    credit: int = 0
    skipped: int = 0


class Change(Value, frozen=True, array_like=True):
    """Other terms from a day on, by the digest of their event; void once taken back. Without runs no more is known."""

    name: int
    effective: int
    runs: tuple[Run, ...] = ()
    is_re_age: bool = False
    annual_rate_e4: int = -1
    is_forbearance: bool = False
    is_void: bool = False


class OriginalTerms(Value, frozen=True, array_like=True):
    """A loan's terms before those changes that are kept one by one."""

    runs: tuple[Run, ...]
    annual_rate_e4: int
    forborne_on: int


class Loan(Value, frozen=True, array_like=True):
    """One loan: its terms, the payments of the ledger window, and the sums of what is older.

    `folded_to` is the day up to which payments were summed up: a payment with an older value date may be in the sum.
    Without `runs` the loan is an annuity of `tenure` instalments of `emi`, the last smaller by `last_less`; with them
    these are what falls due, after `billed_count` obligations of `billed_amount` that were summed up.
    A revolving loan has a `tenure` of 0 and its bills as `runs`; `balance` is that of its newest
    statement, -1 if untold.
    `scale` is the number of minor units in a unit of the loan's currency.

    A loan has its own calendar, so that the history of a bought loan loads beside a living one: `told_to` is the day of
    its newest event, `closed_to` the last business day that was closed for it. What is told of default status and worst
    days past due follows by value date from `status_then` on. `held` are the days on which days past due stand still.
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
    last_less: int = 0
    scale: int = 100
    runs: tuple[Run, ...] = ()
    billed_count: int = 0
    billed_amount: int = 0
    balance: int = -1
    told_to: int = 0
    closed_to: int = 0
    status_then: StatusThen | None = None
    waiting: tuple[Waiting, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    held: tuple[tuple[int, int], ...] = ()
    changes: tuple[Change, ...] = ()
    original: OriginalTerms | None = None
    forborne_on: int = 0
    charged_off: int = 0
    folded_recovered: int = 0

    @property
    def as_of(self) -> int:
        """The day on which the loan is looked at: that of its newest event, or the last one closed for it."""
        return self.told_to if self.told_to > self.closed_to else self.closed_to

    @property
    def last_over(self) -> int:
        """The last day that is over. An event tells that the days before its own are."""
        return self.told_to - 1 if self.told_to > self.closed_to else self.closed_to


class Account(Value, frozen=True, array_like=True):
    """A borrower's loans as of one day, and the digests of the events already applied.

    `ended` are the digests of the openings of loans that are not kept any more.
    """

    borrower_id: str
    as_of: int
    loans: tuple[Loan, ...] = ()
    recent: tuple[tuple[int, int], ...] = ()
    ended: tuple[int, ...] = ()
    holds: tuple[Hold, ...] = ()


def digest(identifier: str) -> int:
    """64 bits that stand for an id. Two of a borrower's some 20 remembered ids collide with p < 1e-16."""
    return int.from_bytes(hashlib.blake2b(identifier.encode(), digest_size=8).digest())
