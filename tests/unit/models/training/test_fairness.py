"""Rates by group: each borrower once, with intervals."""

import numpy as np
import pytest

from models.training.fairness import Person, age_band, fairness
from streams.strategy import StrategyRules


def test_groups_count_each_borrower_once_with_wilson_intervals() -> None:
    people = {"A": Person("female", 24), "B": Person("female", 30), "C": Person("male", 66)}
    borrower = np.array(["A", "B", "A", "C", "unknown"])
    rates = fairness(people, borrower, np.array([0, 1, 1, 0, 1]), np.array([0.1, 0.6, 0.8, 0.2, 0.9]), StrategyRules())
    told = {(each.attribute, each.group): each for each in rates}
    assert set(told) == {("gender", "female"), ("gender", "male"), ("age", "18-24"), ("age", "25-34"), ("age", "65+")}
    female = told["gender", "female"]
    assert (female.borrowers, female.settlement_or_more.value, female.recovery.value) == (2, 1.0, 0.5)
    # Wilson's interval for 1 of 2 (1927): (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n).
    assert (female.recovery.low, female.recovery.high) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert female.outcome.value == 1.0
    assert [age_band(age) for age in (18, 25, 64, 65)] == ["18-24", "25-34", "55-64", "65+"]
