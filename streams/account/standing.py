"""Where a loan stands on a day, pure: arrears, days past due, missed count, outstanding principal.

Amounts are integer minor units, days are proleptic Gregorian ordinals (`date.toordinal`).
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from streams.account.loan import Loan
from streams.account.rules import AccountRules
from streams.contracts.due_dates import due_day, instalments_due_before


class Position(NamedTuple):
    """Where a loan stands on its as-of day. Amounts in minor units."""

    as_of: int
    days_past_due: int
    missed: int
    arrears: int
    credit: int
    instalments_paid: int
    instalments_due: int
    outstanding: int


def delinquency_bucket(days_past_due: int) -> str:
    """The usual buckets: current, 1-29, 30-59, 60-89, 90+."""
    if days_past_due <= 0:
        return "current"
    for upper, name in ((30, "1-29"), (60, "30-59"), (90, "60-89")):
        if days_past_due < upper:
            return name
    return "90+"


def position(loan: Loan, as_of: int, rules: AccountRules) -> Position:
    """Waterfall of all payments over the instalments, oldest first. A closed loan owes nothing."""
    paid_up, due, owed, days_past_due = standing(loan, as_of)
    if loan.closed:
        return Position(as_of, 0, missed_count(loan, loan.closed_day, rules), 0, 0, paid_up, paid_up, 0)
    return Position(
        as_of=as_of,
        days_past_due=days_past_due,
        missed=missed_count(loan, as_of, rules),
        arrears=max(owed, 0),
        credit=max(-owed, 0),
        instalments_paid=paid_up,
        instalments_due=due,
        outstanding=outstanding_principal(loan.principal, loan.emi, loan.annual_rate_e4, paid_up),
    )


class Standing(NamedTuple):
    """The part of a position that every change of an account asks for: the rest costs several times as much."""

    paid_up: int
    due: int
    owed: int
    days_past_due: int


def standing(loan: Loan, as_of: int) -> Standing:
    paid = total_paid(loan)
    paid_up = min(paid // loan.emi, loan.tenure)
    due = instalments_due_before(loan.first_due, loan.tenure, as_of)
    owed = due * loan.emi - paid
    return Standing(paid_up, due, owed, as_of - due_day(loan.first_due, paid_up + 1) if owed > 0 else 0)


def total_paid(loan: Loan) -> int:
    """All that was paid and not taken back, in minor units."""
    paid = loan.folded_paid
    for entry in loan.ledger:
        if not entry.is_reversed:
            paid += entry.amount
    return paid


def paid_by(loan: Loan, day: int) -> int:
    """What had been paid with a value date up to `day`; exact for days inside the ledger window."""
    paid = loan.folded_paid
    for entry in loan.ledger:
        if entry.value_day <= day and not entry.is_reversed:
            paid += entry.amount
    return paid


def missed_count(loan: Loan, as_of: int, rules: AccountRules) -> int:
    """Instalments not fully paid by due date plus grace, each counted once."""
    return loan.folded_missed + missed_among(loan, decided(loan, as_of, rules), rules)


def outstanding_principal(principal: int, emi: int, annual_rate_e4: int, instalments_paid: int) -> int:
    """Principal left after that many instalments, minor units: B = P·q^j − EMI·(q^j − 1)/(q − 1), q = 1 + i/12."""
    growth, annuity = _growth_and_annuity(annual_rate_e4, instalments_paid)
    return max(round(principal * growth - emi * annuity), 0)


@lru_cache(maxsize=65_536)
def _growth_and_annuity(annual_rate_e4: int, months: int) -> tuple[Decimal, Decimal]:
    """q^j and (q^j − 1)/(q − 1). Lenders have few rates and many loans, so these are kept and the loans' sums not."""
    monthly = Decimal(annual_rate_e4) / Decimal(12_000_000)
    if monthly == 0:
        return Decimal(1), Decimal(months)
    growth = (1 + monthly) ** months
    return growth, (growth - 1) / monthly


def decided(loan: Loan, before: int, rules: AccountRules) -> range:
    """Numbers of the instalments, not yet folded, whose grace ended before that day."""
    last = instalments_due_before(loan.first_due, loan.tenure, before - rules.grace_days)
    return range(loan.folded_instalments + 1, last + 1)


def missed_among(loan: Loan, numbers: range, rules: AccountRules) -> int:
    missed = 0
    for number in numbers:
        if paid_by(loan, due_day(loan.first_due, number) + rules.grace_days) < number * loan.emi:
            missed += 1
    return missed
