"""What decisions cost, and which thresholds cost least.

A scored loan is reminded, offered a settlement or recovered aggressively. Every step costs something. The two that cost
more avoid a part of the loss that follows when the outcome is bad.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from models.serving.arrays import Floats, Outcomes
from streams.config.settings import Settings
from streams.strategy import StrategyRules

_GRID = np.round(np.arange(0.01, 1.0, 0.01), 2)
_PER = 1000


@dataclass(frozen=True)
class CostTable:
    """Amounts in currency units for one scored loan; the shares say how much of the loss a step avoids.

    The settings' defaults are the costs under which the notebook's thresholds are the best: a settlement pays from a
    probability of 150 / (1000 × 0.30) = 0.50 on, recovery above (300 − 150) / (1000 × (0.50 − 0.30)) = 0.75.
    """

    contact: Decimal
    settlement: Decimal
    recovery: Decimal
    loss: Decimal
    settlement_saves: float
    recovery_saves: float


@dataclass(frozen=True)
class Policy:
    """The thresholds in force, and what decisions cost."""

    strategy: StrategyRules
    costs: CostTable


def policy_of(settings: Settings) -> Policy:
    """The thresholds in force and the cost table they are judged by."""
    return Policy(
        settings.rules().strategy,
        CostTable(
            contact=settings.cost_contact,
            settlement=settings.cost_settlement,
            recovery=settings.cost_recovery,
            loss=settings.cost_loss,
            settlement_saves=settings.settlement_saves,
            recovery_saves=settings.recovery_saves,
        ),
    )


@dataclass(frozen=True)
class Thresholds:
    """A pair of thresholds, and its cost in currency units for 1,000 scored loans."""

    settlement_from: float
    recovery_above: float
    cost: float


@dataclass(frozen=True)
class CostPoint:
    """Cost for 1,000 scored loans if this were the threshold of one step, with the other step's as it is in force."""

    threshold: float
    as_settlement: float
    as_recovery: float


@dataclass(frozen=True)
class CostReport:
    """`best` was chosen on the calibration rows; every cost is that of the test rows."""

    table: CostTable
    in_force: Thresholds
    best: Thresholds
    reminders_only: float
    curve: tuple[CostPoint, ...]


def cost_report(chosen_on: tuple[Outcomes, Floats], judged_on: tuple[Outcomes, Floats], policy: Policy) -> CostReport:
    """Choose thresholds on one set of outcomes and scores, and report the costs on another."""
    table, rules = policy.costs, policy.strategy
    y, scores = judged_on
    best = best_thresholds(*chosen_on, table)

    def judged(settlement_from: float, recovery_above: float) -> Thresholds:
        return Thresholds(settlement_from, recovery_above, cost(y, scores, settlement_from, recovery_above, table))

    return CostReport(
        table=table,
        in_force=judged(rules.settlement_from, rules.recovery_above),
        best=judged(*best),
        reminders_only=judged(np.inf, np.inf).cost,
        curve=tuple(
            CostPoint(
                float(threshold),
                judged(float(threshold), max(rules.recovery_above, float(threshold))).cost,
                judged(min(rules.settlement_from, float(threshold)), float(threshold)).cost,
            )
            for threshold in _GRID
        ),
    )


def cost(y: Outcomes, scores: Floats, settlement_from: float, recovery_above: float, table: CostTable) -> float:
    """The mean cost of these decisions for 1,000 scored loans."""
    settle, recover = _steps(y, table)
    extra = settle[scores >= settlement_from].sum() + recover[scores > recovery_above].sum()
    return float(_PER * (_reminder(y, table) + extra / len(y)))


def best_thresholds(y: Outcomes, scores: Floats, table: CostTable) -> tuple[float, float]:
    """The pair that costs least on a grid of hundredths, settlement not above recovery; the lower pair on a tie."""
    settle, recover = _steps(y, table)
    by_settlement = settle @ (scores[:, None] >= _GRID)
    by_recovery = recover @ (scores[:, None] > _GRID)
    total = by_settlement[:, None] + by_recovery
    total[np.tril_indices(len(_GRID), -1)] = np.inf
    first, second = np.unravel_index(int(total.argmin()), total.shape)
    return float(_GRID[first]), float(_GRID[second])


def _reminder(y: Outcomes, table: CostTable) -> float:
    return float(table.contact) + float(table.loss) * float(y.mean())


def _steps(y: Outcomes, table: CostTable) -> tuple[Floats, Floats]:
    """What a settlement costs more than a reminder, and recovery more than a settlement, for each loan."""
    loss = float(table.loss) * y.astype(np.float64)
    settle: Floats = float(table.settlement) - table.settlement_saves * loss
    recover: Floats = float(table.recovery - table.settlement) - (table.recovery_saves - table.settlement_saves) * loss
    return settle, recover
