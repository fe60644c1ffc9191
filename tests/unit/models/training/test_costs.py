"""What decisions cost, checked by hand, and the thresholds that cost least."""

from decimal import Decimal

import numpy as np
import pytest

from models.training.costs import CostTable, best_thresholds, cost, cost_report
from tests.support.training import COSTS, POLICY


def test_costs_by_hand() -> None:
    table = CostTable(Decimal(1), Decimal(10), Decimal(40), Decimal(100), 0.5, 0.9)
    y, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.6, 0.6, 0.1])
    # Reminded: 1; settled good: 11; settled bad: 11 + 50; recovered bad: 41 + 10.
    assert cost(y, scores, 0.5, 0.75, table) == pytest.approx(1000 * (51 + 11 + 61 + 1) / 4)


def test_the_default_costs_make_the_notebooks_thresholds_the_best_for_calibrated_scores() -> None:
    draw = np.random.default_rng(0)
    scores = draw.random(100_000)
    y = (draw.random(100_000) < scores).astype(np.int64)
    assert best_thresholds(y, scores, COSTS) == pytest.approx((0.50, 0.75), abs=0.04)
    report = cost_report((y, scores), (y, scores), POLICY)
    assert report.best.cost <= report.in_force.cost <= report.reminders_only
    assert len(report.curve) == 99


def test_settlement_is_never_above_recovery() -> None:
    reversed_costs = CostTable(Decimal(1), Decimal(300), Decimal(310), Decimal(1000), 0.3, 0.9)
    draw = np.random.default_rng(0)
    scores = draw.random(5000)
    first, second = best_thresholds((draw.random(5000) < scores).astype(np.int64), scores, reversed_costs)
    assert first <= second
