"""Money as integer minor units of the currency."""

from __future__ import annotations

from decimal import Decimal

MINOR_UNITS = 100


def to_minor(amount: Decimal) -> int:
    """Minor units of an amount that has at most two decimal places (the contracts see to that)."""
    return int(amount * MINOR_UNITS)
