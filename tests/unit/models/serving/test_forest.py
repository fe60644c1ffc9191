"""The forest: equal to scikit-learn, explained exactly, and clear about what it cannot score."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from models.serving.forest import Calibration, Forest, ForestInputError, log_odds, sigmoid
from streams.contracts.feature_names import NOTEBOOK_FEATURE_NAMES

NAMES = NOTEBOOK_FEATURE_NAMES
CALIBRATION = Calibration(slope=1.3, intercept=-0.4)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    rows = draw.normal(0, 3, (1500, len(NAMES)))
    odds = 1.2 * rows[:, 0] - rows[:, 1] + 0.5 * rows[:, 2] * (rows[:, 3] > 0)
    return rows, (draw.random(1500) < 1 / (1 + np.exp(-odds))).astype(np.int64)


@pytest.fixture(scope="module")
def classifier(data: tuple[np.ndarray, np.ndarray]) -> RandomForestClassifier:
    return RandomForestClassifier(40, max_depth=8, random_state=2).fit(*data)


@pytest.fixture(scope="module")
def forest(classifier: RandomForestClassifier) -> Forest:
    return Forest.from_sklearn(classifier, NAMES, CALIBRATION, "v")


def test_forest_equals_scikit_learn(
    forest: Forest, classifier: RandomForestClassifier, data: tuple[np.ndarray, np.ndarray]
) -> None:
    expected = classifier.predict_proba(data[0])[:, 1]
    assert np.abs(forest.raw(data[0]) - expected).max() < 1e-12
    assert forest.raw(data[0][:1])[0] == pytest.approx(expected[0], abs=1e-12)


def test_thresholds_are_met_exactly(forest: Forest, classifier: RandomForestClassifier) -> None:
    """Rows that lie on split thresholds, where 32-bit and 64-bit comparison differ."""
    thresholds = classifier.estimators_[0].tree_.threshold[:200]
    rows = np.repeat(thresholds[:, None], len(NAMES), axis=1)
    assert np.abs(forest.raw(rows) - classifier.predict_proba(rows)[:, 1]).max() < 1e-12


def test_contributions_add_up_to_the_calibrated_score(forest: Forest, data: tuple[np.ndarray, np.ndarray]) -> None:
    base, parts = forest.contributions(data[0])
    assert np.abs(base + parts.sum(axis=1) - forest.predict(data[0])).max() < 1e-9
    assert np.abs(parts).mean(axis=0)[:2].min() > np.abs(parts).mean(axis=0)[4:].max()


def test_a_value_that_is_not_finite_is_named(forest: Forest) -> None:
    rows = np.zeros((2, len(NAMES)))
    rows[1, 4] = np.nan
    with pytest.raises(ForestInputError, match=NAMES[4]):
        forest.predict(rows)


def test_the_depth_is_the_longest_way_down(forest: Forest, classifier: RandomForestClassifier) -> None:
    assert forest.depth == max(tree.tree_.max_depth for tree in classifier.estimators_)


def test_log_odds_and_sigmoid_are_each_others_inverse_and_never_infinite() -> None:
    probabilities = np.linspace(1e-4, 1 - 1e-4, 999)
    assert sigmoid(log_odds(probabilities)) == pytest.approx(probabilities, abs=1e-12)
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()
