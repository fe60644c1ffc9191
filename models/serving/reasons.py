"""The reasons for a score in a collector's words: the models' own contributions to it, largest first."""

from __future__ import annotations

from collections.abc import Sequence

from streams.contracts.actions import Reason
from streams.contracts.feature_names import ROW_NAMES

_WORDS = {
    "days_past_due": "{:.0f} days past due",
    "missed_count": "{:.0f} instalments missed so far",
    "arrears_to_emi": "arrears of {:.1f} instalments",
    "worst_days_past_due": "was up to {:.0f} days past due before",
    "missed_share": "{:.0%} of the instalments due so far were missed",
    "days_since_payment": "last payment {:.0f} days ago",
    "paid_to_due_90_days": "paid {:.0%} of what fell due in 90 days",
    "payments_90_days": "{:.0f} payments in 90 days",
    "reversals_90_days": "{:.0f} payments taken back in 90 days",
    "was_in_default": "in default, or in probation after one ({:.0f})",
    "emi_to_income": "instalment takes {:.0%} of the monthly income",
    "loan_to_income": "loan is {:.1f} years of income",
    "collateral_to_loan": "collateral covers {:.0%} of the loan",
    "interest_rate": "interest rate of {:.1f} %",
    "months_on_book": "{:.0f} months since the loan was opened",
    "months_remaining": "{:.0f} instalments still to fall due",
    "outstanding_to_loan": "{:.0%} of the principal still outstanding",
    "days_to_next_due": "next instalment due in {:.0f} days",
    "loan_amount": "loan of {:,.0f}",
    "monthly_emi": "monthly instalment of {:,.0f}",
}
# They take part in scores, but a collector does not see fields of the profile.
_HIDDEN = frozenset({"salaried", "self_employed", "monthly_income"})


def top_reasons(
    row: Sequence[float], contributions: Sequence[float], *, risk_fell: bool, most: int = 3
) -> list[Reason]:
    """The features that raised the score most, or lowered it most when the strategy was relaxed.

    Income and employment are left out: an action holds no personal field.
    `contributions` are in units of probability, one a feature, in the order of `ROW_NAMES` as is the row.
    """
    sign = -1.0 if risk_fell else 1.0
    parts = [part for part in zip(ROW_NAMES, row, contributions, strict=True) if part[0] not in _HIDDEN]
    ranked = sorted(parts, key=lambda part: -sign * part[2])
    return [
        Reason(feature=name, value=value, contribution=part, text=_WORDS[name].format(value))
        for name, value, part in ranked[:most]
        if sign * part > 0
    ]
