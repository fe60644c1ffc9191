"""Training a forest: no leak between the parts, and clear words when data are not enough."""

import numpy as np
import pytest

from models.training.forest import (
    TrainingError,
    TrainingSet,
    train_forest,
)
from streams.contracts.feature_names import FEATURE_NAMES
from tests.support.training import POLICY, assert_no_leak, history, scorings


def test_no_borrower_and_no_later_month_stands_on_both_sides() -> None:
    assert_no_leak(scorings(4000, 300))


@pytest.mark.slow
def test_training_reports_on_what_it_has_not_seen_and_repeats_itself() -> None:
    data = history(scorings(1500, 300))
    first, again = (train_forest(data, POLICY, seed=4) for _ in range(2))
    assert first.report == again.report
    assert first.report.test.auc > 0.85
    assert first.report.importance[0].feature == FEATURE_NAMES[0]
    assert sum(segment.loans for segment in first.report.segments) == 200


def test_what_cannot_train_is_said() -> None:
    data = scorings(4000, 300)
    one_class = TrainingSet(data.X, np.zeros_like(data.y), data.borrower, data.scored_on, data.known_on)
    with pytest.raises(TrainingError, match="both good and bad"):
        train_forest(history(one_class), POLICY, seed=1)
    data.X[:, 2] = np.inf
    with pytest.raises(TrainingError, match=FEATURE_NAMES[2]):
        train_forest(history(data), POLICY, seed=1)
    with pytest.raises(TrainingError, match="too short"):
        train_forest(history(data.where(np.zeros(4000, dtype=bool))), POLICY, seed=1)
