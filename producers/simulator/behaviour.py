"""How a simulated borrower pays: chances that follow income burden, a stress that moves, and shocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from random import Random

from producers.simulator.portfolio import Borrower
from streams.contracts.events import Terms


@dataclass(frozen=True)
class Shock:
    """A shock to the whole portfolio on one day: a share of borrowers loses the job, and rates rise."""

    day: int
    job_losses: float
    rate_rise: float


class Choice(Enum):
    """What a borrower does about an instalment that falls due."""

    EARLY = "early"
    ON_TIME = "on_time"
    LATE = "late"
    PARTIAL = "partial"
    NOTHING = "nothing"


class PaymentBehaviour:
    """A borrower's hidden stress, month by month: it reverts to a level set by burden and resilience."""

    def __init__(self, borrower: Borrower, terms: Terms, draw: Random) -> None:
        burden = float(terms.emi / max(borrower.profile.monthly_income, terms.emi / 10))
        self._level = 1.6 * min(burden, 1.5) - 0.75 * borrower.resilience - 0.45
        self._draw = draw
        self.stress = self._level + draw.gauss(0, 0.4)

    def month(self, calendar_month: int) -> None:
        """Let a month pass: mean reversion, noise, the season (the year's end costs more), now and then a lost job."""
        season = 0.25 if calendar_month in (1, 12) else 0.0
        self.stress += 0.18 * (self._level - self.stress) + self._draw.gauss(season, 0.35)
        if self._draw.random() < 0.008:
            self.lose_job()

    def lose_job(self) -> None:
        """Stress jumps at once, and reverts over the following months."""
        self.stress += self._draw.uniform(1.8, 3.2)

    def raise_rates(self, rate_rise: float) -> None:
        """A rate rise (percentage points) lifts the level for good."""
        self._level += 0.12 * rate_rise
        self.stress += 0.12 * rate_rise

    def choose(self, months_behind: int) -> Choice:
        """What happens to the instalment that falls due; who is behind already falls further more easily."""
        trouble = _logistic(-3.0 + 1.25 * self.stress + 0.35 * min(months_behind, 3))
        if self._draw.random() < trouble:
            return self._draw.choices(
                (Choice.NOTHING, Choice.PARTIAL, Choice.LATE), (0.35 + 0.3 * trouble, 0.2, 0.45 - 0.3 * trouble)
            )[0]
        return self._draw.choices((Choice.EARLY, Choice.ON_TIME), (0.2, 0.8))[0]

    def catches_up(self) -> bool:
        """Whether arrears are cleared this month."""
        return self._draw.random() < _logistic(0.2 - 1.1 * self.stress)

    def bounces(self) -> bool:
        """Whether a payment is taken back by the bank."""
        return self._draw.random() < 0.05 * _logistic(self.stress)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))
