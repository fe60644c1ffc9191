"""The names, units and order of the features that models see. No protected attribute is among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Feature(NamedTuple):
    """A number that describes a loan, and its unit."""

    name: str
    unit: str


FEATURES: tuple[Feature, ...] = (
    Feature("days_past_due", "days"),
    Feature("missed_count", "instalments"),
    Feature("arrears_to_emi", "instalments"),
    Feature("worst_days_past_due", "days"),
    Feature("missed_share", "share of the instalments due"),
    Feature("days_since_payment", "days"),
    Feature("paid_to_due_90_days", "share of what fell due"),
    Feature("payments_90_days", "payments"),
    Feature("reversals_90_days", "payments"),
    Feature("was_in_default", "0 or 1"),
    Feature("emi_to_income", "share of monthly income"),
    Feature("loan_to_income", "years of income"),
    Feature("collateral_to_loan", "share of the principal"),
    Feature("interest_rate", "percent a year"),
    Feature("months_on_book", "months"),
    Feature("months_remaining", "instalments"),
    Feature("outstanding_to_loan", "share of the principal"),
    Feature("days_to_next_due", "days"),
    Feature("salaried", "0 or 1"),
    Feature("self_employed", "0 or 1"),
)


FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)


# What outcomes are learnt from is free of currency, so that a model also serves a lender whose amounts differ; the
# notebook's recipe and the segments need the amounts themselves.
AMOUNTS: tuple[Feature, ...] = (
    Feature("monthly_income", "currency units"),
    Feature("loan_amount", "currency units"),
    Feature("monthly_emi", "currency units"),
)


NOTEBOOK_FEATURES: tuple[Feature, ...] = (
    *AMOUNTS,
    Feature("missed_count", "instalments"),
    Feature("days_past_due", "days"),
)


NOTEBOOK_FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in NOTEBOOK_FEATURES)


ROW_NAMES: tuple[str, ...] = (*FEATURE_NAMES, *(feature.name for feature in AMOUNTS))


def columns(names: Sequence[str]) -> list[int]:
    """Where these features stand in a row."""
    return [ROW_NAMES.index(name) for name in names]
