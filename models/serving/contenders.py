"""The online models that run side by side."""

from __future__ import annotations

from models.serving.linear import Recipe

_BEHAVIOUR = (
    "days_past_due",
    "missed_count",
    "arrears_to_emi",
    "worst_days_past_due",
    "missed_share",
    "days_since_payment",
    "paid_to_due_90_days",
    "days_to_next_due",
)


RECIPES: tuple[Recipe, ...] = (
    Recipe("adagrad", rate=0.05),
    Recipe("sgd", rate=0.02, adaptive=False, logarithms=False),
    Recipe("products", rate=0.03, products=_BEHAVIOUR),
    # What missed count and days past due alone would do, kept as current as the others; a yardstick, never served.
    Recipe("baseline", rate=0.05, use=("days_past_due", "missed_count"), eligible=False),
)
