"""How loans end, and that an end may not last: a payoff that bounces opens a settled loan again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from streams.account.loan import LedgerEntry, Loan, Milestone
from streams.account.rules import MAX_MILESTONES, AccountRules
from streams.account.tolerance import tolerance

REOPENED = "reopened"
CHARGED_OFF = "charged_off"
WRITTEN_OFF = "written_off"


def note(loan: Loan, kind: str, day: int, moment: datetime, name: int) -> Loan:
    """The loan with one more milestone; `derive_end` tells what follows from it."""
    added = Milestone(day, kind, int(moment.timestamp()), name)
    known = sorted((*loan.milestones, added), key=lambda each: (each.second, each.event))
    return replace(loan, milestones=tuple(known[-MAX_MILESTONES:]))


def derive_end(loan: Loan, rules: AccountRules) -> Loan:
    """The loan as closed or open as its milestones and its ledger say; the same object if nothing changes."""
    if not loan.milestones:
        # Written by an older riskmon, or never closed.
        return loan
    stands = [each for each in loan.milestones if not _is_void(each, loan, rules)]
    end: Milestone | None = None
    charged_off = 0
    for each in stands:
        if each.kind == CHARGED_OFF:
            charged_off = charged_off or each.day
        elif each.kind == REOPENED:
            end = None
        elif end is None:
            end = each
    closed, day = (end.kind, end.day) if end else ("", 0)
    if (closed, day, charged_off, len(stands)) == (
        loan.closed,
        loan.closed_day,
        loan.charged_off,
        len(loan.milestones),
    ):
        return loan
    return replace(loan, closed=closed, closed_day=day, charged_off=charged_off, milestones=tuple(stands))


def recovered(loan: Loan) -> int:
    """What came in after the loan was charged off or written off."""
    return loan.folded_recovered + recovered_among(loan, loan.ledger)


def recovered_among(loan: Loan, entries: Sequence[LedgerEntry]) -> int:
    """What of these payments is a recovery."""
    since = loan.charged_off or (loan.closed_day if loan.closed == WRITTEN_OFF else 0)
    return sum(each.amount for each in entries if each.value_day > since and not each.is_reversed) if since else 0


def _is_void(milestone: Milestone, loan: Loan, rules: AccountRules) -> bool:
    """Whether money that had settled the loan was taken back after it."""
    if milestone.kind != "settled":
        return False
    bounced = sum(
        entry.amount
        for entry in loan.ledger
        if entry.is_reversed and entry.value_day <= milestone.day < entry.reversed_day
    )
    return bounced > tolerance(loan.emi, rules, loan.scale)
