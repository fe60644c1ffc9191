"""Where a loan stands on a day, pure: arrears, days past due, missed count, outstanding principal.

Amounts are integer minor units, days are proleptic Gregorian ordinals (`date.toordinal`).
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from streams.account.holds import day_when, days_late
from streams.account.loan import Loan
from streams.account.obligations import count_of, due_before, due_on, number_due, paid_up, total_of
from streams.account.payments import paid_by
from streams.account.rules import AccountRules
from streams.account.terms import terms_on


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
    """Waterfall of all payments over the obligations, oldest first. A closed loan owes nothing."""
    now = standing(loan, as_of, rules)
    if loan.closed:
        missed = missed_count(loan, loan.closed_day, rules)
        return Position(as_of, 0, missed, 0, 0, now.paid_up, now.paid_up, 0)
    return Position(
        as_of=as_of,
        days_past_due=now.days_past_due,
        missed=missed_count(loan, as_of, rules),
        arrears=max(now.owed, 0),
        credit=max(-now.owed, 0),
        instalments_paid=now.paid_up,
        instalments_due=now.due,
        outstanding=outstanding(loan, now.paid_up),
    )


class Standing(NamedTuple):
    """The part of a position that every change of an account asks for: the rest costs several times as much."""

    paid_up: int
    due: int
    owed: int
    days_past_due: int

    @property
    def is_late(self) -> bool:
        """Whether more than the tolerance is open of what has fallen due."""
        return self.paid_up < self.due


def standing(loan: Loan, as_of: int, rules: AccountRules) -> Standing:
    """Where the loan stands. On a day that is not over, what fell due the day before makes nobody late yet."""
    paid = paid_by(loan, as_of)
    up = paid_up(loan, paid, rules)
    due, amount = due_before(loan, as_of if as_of <= loan.closed_to else as_of - 1, rules)
    return Standing(up, due, amount - paid, _late(loan, as_of, up, rules) if up < due else 0)


def _late(loan: Loan, as_of: int, up: int, rules: AccountRules) -> int:
    return days_late(loan, due_on(loan, up + 1, rules), as_of)


def missed_count(loan: Loan, as_of: int, rules: AccountRules) -> int:
    """Obligations not paid by due date plus grace, each counted once."""
    return loan.folded_missed + missed_among(loan, decided(loan, as_of, rules), rules)


def outstanding(loan: Loan, paid_up: int) -> int:
    """Principal left after that many obligations: an annuity's, else the unpaid obligations' share of the principal.

    Of a revolving loan it is the newest statement's balance, less what was paid since.
    """
    if not loan.tenure:
        since = loan.runs[-1].billed_on if loan.runs else 0
        paid = sum(each.amount for each in loan.ledger if each.value_day >= since and not each.is_reversed)
        return max(loan.balance - paid, 0)
    if not loan.runs:
        return outstanding_principal(loan.principal, loan.emi, loan.annual_rate_e4, paid_up)
    whole = total_of(loan, count_of(loan))
    return loan.principal * (whole - total_of(loan, paid_up)) // whole


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
    """Numbers of the obligations, not yet folded, whose grace ended before that day."""
    last = number_due(loan, before - rules.grace_days, rules)
    if loan.held:
        while last > loan.folded_instalments and _grace_end(loan, last, rules) >= before:
            last -= 1
    return range(loan.folded_instalments + 1, last + 1)


def missed_among(loan: Loan, numbers: range, rules: AccountRules) -> int:
    """How many of these obligations were not paid by the end of their grace."""
    if not numbers:
        return 0
    newest = 0
    for entry in loan.ledger:
        if entry.value_day > newest:
            newest = entry.value_day
    if loan.changes:
        return _missed_under_changes(loan, numbers, rules)
    missed = 0
    for number in numbers:
        until = _grace_end(loan, number, rules)
        if until >= newest:
            # No money came later, so what is not paid by now was missed without looking at each.
            up = paid_up(loan, paid_by(loan, until), rules)
            return missed + numbers.stop - max(number, min(up + 1, numbers.stop))
        if paid_up(loan, paid_by(loan, until), rules) < number:
            missed += 1
    return missed


def _missed_under_changes(loan: Loan, numbers: range, rules: AccountRules) -> int:
    """What had been missed by the end of a grace does not follow from later terms."""
    missed = 0
    for number in numbers:
        until = _grace_end(loan, number, rules)
        if paid_up(terms_on(loan, until), paid_by(loan, until), rules) < number:
            missed += 1
    return missed


def _grace_end(loan: Loan, number: int, rules: AccountRules) -> int:
    """The last day on which money keeps an obligation from being missed."""
    due = due_on(loan, number, rules)
    return day_when(loan, due, rules.grace_days + 1) - 1 if loan.held else due + rules.grace_days
