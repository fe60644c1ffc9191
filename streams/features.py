"""What models see of a loan: facts on the account's as-of day. No protected attribute is among them.

In: an account just after an event, from `streams/evolve.py`. Out: each open loan with its position and its row.
Next: `streams/score.py` scores the rows.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.account.loan import Account, Loan
from streams.account.obligations import count_of, due_before, due_on, number_due
from streams.account.rules import AccountRules
from streams.account.standing import Position, position
from streams.contracts.money import MINOR_UNITS
from streams.contracts.vocabulary import LoanStatus

_CAP = 100.0


class OpenLoan(NamedTuple):
    """A loan that is not closed, where it stands, and its row (`ROW_NAMES`)."""

    loan: Loan
    now: Position
    row: tuple[float, ...]


def open_loans(account: Account, rules: AccountRules) -> list[OpenLoan]:
    """All loans of the account that are open, in its order."""
    found = []
    for loan in account.loans:
        if not loan.closed:
            now = position(loan, loan.as_of, rules)
            found.append(OpenLoan(loan, now, loan_row(loan, now, rules)))
    return found


def loan_features(loan: Loan, now: Position, rules: AccountRules) -> tuple[float, ...]:
    """One row in the order of `FEATURE_NAMES`: days, counts and ratios, each finite and bounded."""
    as_of = now.as_of
    return (
        float(now.days_past_due),
        float(now.missed),
        _ratio(now.arrears, loan.emi),
        float(loan.worst_dpd),
        _ratio(now.missed, now.instalments_due),
        float(min(as_of - _last_paid(loan), 365)),
        *_recent_payments(loan, now, rules),
        float(loan.status is not LoanStatus.PERFORMING),
        _ratio(loan.emi, loan.monthly_income),
        _ratio(loan.principal, loan.monthly_income * 12),
        _ratio(loan.collateral, loan.principal),
        loan.annual_rate_e4 / 10_000,
        (as_of - loan.opened_day) / 30.4375,
        float(count_of(loan) - now.instalments_due),
        _ratio(now.outstanding, loan.principal),
        float(_days_to_next_due(loan, now, rules)),
        float(loan.employment == "salaried"),
        float(loan.employment == "self_employed"),
    )


def loan_row(loan: Loan, now: Position, rules: AccountRules) -> tuple[float, ...]:
    """All that models and segments may ask of a loan, in the order of `ROW_NAMES`: its features, then its amounts."""
    return (
        *loan_features(loan, now, rules),
        loan.monthly_income / MINOR_UNITS,
        loan.principal / MINOR_UNITS,
        loan.emi / MINOR_UNITS,
    )


def next_instalment(loan: Loan, as_of: int, rules: AccountRules) -> int | None:
    """The number of the next obligation that falls due after the as-of day.

    None where none is known, and once the loan was charged off: its outcome is no question any more.
    """
    if loan.charged_off:
        return None
    number = number_due(loan, as_of + 1, rules) + 1
    return number if number <= count_of(loan) else None


def _ratio(part: int, whole: int) -> float:
    return min(part / whole, _CAP) if whole else (_CAP if part else 0.0)


def _last_paid(loan: Loan) -> int:
    last = max(loan.opened_day, loan.folded_last_paid)
    for entry in loan.ledger:
        if entry.value_day > last and entry.amount > 0 and not entry.is_reversed:
            last = entry.value_day
    return last


def _recent_payments(loan: Loan, now: Position, rules: AccountRules) -> tuple[float, float, float]:
    since = now.as_of - 90
    paid = payments = reversals = 0
    for entry in loan.ledger:
        if entry.value_day <= since:
            continue
        if entry.is_reversed:
            reversals += 1
        else:
            payments += entry.amount > 0
            paid += entry.amount
    due = due_before(loan, now.as_of, rules).amount - due_before(loan, since, rules).amount
    # Nothing due yet reads as paid in full, not as paid infinitely often.
    share = _ratio(paid, due) if due else 1.0
    return min(share, 4.0), float(payments), float(reversals)


def _days_to_next_due(loan: Loan, now: Position, rules: AccountRules) -> int:
    number = min(now.instalments_due + 1, count_of(loan))
    return max(due_on(loan, number, rules) - now.as_of, 0) if number else 0
