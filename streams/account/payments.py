"""What was paid of a loan, by value date."""

from __future__ import annotations

from streams.account.loan import Loan


def paid_by(loan: Loan, day: int) -> int:
    """What had been paid with a value date up to `day`; exact for days inside the ledger window."""
    paid = loan.folded_paid
    for entry in loan.ledger:
        if entry.value_day <= day and not entry.is_reversed:
            paid += entry.amount
    return paid
