"""The equated monthly instalment."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

_CENT = Decimal("0.01")


def annuity_emi(principal: Decimal, annual_rate: Decimal, tenure_months: int) -> Decimal:
    """The annuity formula EMI = P·r·q^n / (q^n − 1), q = 1 + r, r = annual percent / 1200; rounded half up to 0.01."""
    rate = annual_rate / 1200
    if rate == 0:
        return (principal / tenure_months).quantize(_CENT, ROUND_HALF_UP)
    growth = (1 + rate) ** tenure_months
    return (principal * rate * growth / (growth - 1)).quantize(_CENT, ROUND_HALF_UP)
