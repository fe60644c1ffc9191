"""Who borrows, and on what terms: seeded draws from plausible joint distributions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Literal

from producers.simulator.emi import annuity_emi
from streams.contracts.events import Profile, Terms

Employment = Literal["salaried", "self_employed", "unemployed"]
_MEDIAN_INCOME: dict[Employment, float] = {"salaried": 3200.0, "self_employed": 2800.0, "unemployed": 1100.0}
_LARGE_LOANS = 0.04


@dataclass(frozen=True)
class Borrower:
    """A simulated borrower. `resilience` is how well income carries the burden, about −2 to 2."""

    borrower_id: str
    profile: Profile
    resilience: float


def draw_borrower(borrower_id: str, draw: Random) -> Borrower:
    """A borrower; income is log-normal by employment, and high income repays better."""
    employment: Employment = draw.choices(("salaried", "self_employed", "unemployed"), (0.68, 0.25, 0.07))[0]
    income = _MEDIAN_INCOME[employment] * math.exp(draw.gauss(0, 0.5))
    profile = Profile(
        age=min(max(round(draw.gauss(41, 11)), 21), 75),
        gender=draw.choices(("female", "male", "other", "undisclosed"), (0.48, 0.48, 0.02, 0.02))[0],
        employment_type=employment,
        monthly_income=_money(income),
        num_dependents=min(int(draw.expovariate(0.8)), 6),
        collateral_value=_money(draw.choice((0.0, 0.0, 1.0)) * income * draw.uniform(2, 20)),
    )
    resilience = 0.9 * math.log(income / 3000) + draw.gauss(0, 0.8)
    return Borrower(borrower_id, profile, resilience)


def draw_terms(borrower: Borrower, opened: date, draw: Random) -> Terms:
    """A loan for this borrower: mostly 5,000 to 15,000, a tail above 100,000; riskier borrowers pay more interest."""
    large = draw.random() < _LARGE_LOANS
    principal = 110_000 * math.exp(abs(draw.gauss(0, 0.4))) if large else 9_000 * math.exp(draw.gauss(0, 0.38))
    amount = Decimal(round(principal / 50) * 50)
    tenure = draw.choice((180, 240, 300)) if large else draw.choice((12, 18, 24, 24, 36, 36, 48, 60))
    rate = Decimal(str(round(min(max(11 - 2 * borrower.resilience + draw.gauss(0, 2), 4), 30), 2)))
    month_later = (opened.replace(day=1) + timedelta(days=32)).replace(day=min(opened.day, 28))
    return Terms(
        principal=amount,
        annual_rate=rate,
        tenure_months=tenure,
        emi=annuity_emi(amount, rate, tenure),
        first_due_date=month_later,
    )


def _money(value: float) -> Decimal:
    return Decimal(round(value)).quantize(Decimal("0.01"))
