"""The features both models see: facts of the loan on its as-of day. No protected attribute is among them."""

from __future__ import annotations

from streams.account import AccountRules, Position, position
from streams.calendar import due_day, instalments_due_before
from streams.state import Account, Loan, LoanStatus

FEATURE_NAMES: tuple[str, ...] = (
    "days_past_due",
    "missed_count",
    "arrears_to_emi",
    "worst_days_past_due",
    "missed_share",
    "days_since_payment",
    "paid_to_due_90_days",
    "payments_90_days",
    "reversals_90_days",
    "was_in_default",
    "emi_to_income",
    "loan_to_income",
    "collateral_to_loan",
    "interest_rate",
    "months_on_book",
    "months_remaining",
    "outstanding_to_loan",
    "days_to_next_due",
    "salaried",
    "self_employed",
)
_CAP = 100.0


def loan_features(loan: Loan, account: Account, rules: AccountRules) -> tuple[float, ...]:
    """One row in the order of `FEATURE_NAMES`: days, counts and ratios, each finite and bounded."""
    as_of = account.as_of
    now = position(loan, as_of, rules)
    return (
        float(now.days_past_due),
        float(now.missed),
        _ratio(now.arrears, loan.emi),
        float(loan.worst_dpd),
        _ratio(now.missed, now.instalments_due),
        float(min(as_of - _last_paid(loan), 365)),
        *_recent_payments(loan, as_of),
        float(loan.status is not LoanStatus.PERFORMING),
        _ratio(loan.emi, loan.monthly_income),
        _ratio(loan.principal, loan.monthly_income * 12),
        _ratio(loan.collateral, loan.principal),
        loan.annual_rate_e4 / 10_000,
        (as_of - loan.opened_day) / 30.4375,
        float(loan.tenure - now.instalments_due),
        _ratio(now.outstanding, loan.principal),
        float(_days_to_next_due(loan, now, as_of)),
        float(loan.employment == "salaried"),
        float(loan.employment == "self_employed"),
    )


def next_instalment(loan: Loan, as_of: int) -> int | None:
    """The number of the next instalment that falls due after the as-of day; None once all have."""
    number = instalments_due_before(loan.first_due, loan.tenure, as_of + 1) + 1
    return number if number <= loan.tenure else None


def _ratio(part: int, whole: int) -> float:
    return min(part / whole, _CAP) if whole else (_CAP if part else 0.0)


def _last_paid(loan: Loan) -> int:
    paid = [entry.value_day for entry in loan.ledger if not entry.is_reversed]
    return max([loan.opened_day, loan.folded_last_paid, *paid])


def _recent_payments(loan: Loan, as_of: int) -> tuple[float, float, float]:
    recent = [entry for entry in loan.ledger if entry.value_day > as_of - 90]
    paid = sum(entry.amount for entry in recent if not entry.is_reversed)
    due = instalments_due_before(loan.first_due, loan.tenure, as_of)
    due -= instalments_due_before(loan.first_due, loan.tenure, as_of - 90)
    reversals = sum(entry.is_reversed for entry in recent)
    # Nothing due yet reads as paid in full, not as paid infinitely often.
    share = _ratio(paid, due * loan.emi) if due else 1.0
    return min(share, 4.0), float(len(recent) - reversals), float(reversals)


def _days_to_next_due(loan: Loan, now: Position, as_of: int) -> int:
    number = min(now.instalments_due + 1, loan.tenure)
    return max(due_day(loan.first_due, number) - as_of, 0)
