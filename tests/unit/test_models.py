"""Forest, store and training: equal to their libraries, safe to load, and honest about what they have seen."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from models import store
from models.forest import Calibration, Forest, ForestInputError
from models.store import ModelError
from models.training import TrainingError, TrainingSet, split_by_borrower_and_time, train_forest

NAMES = tuple(f"f{number}" for number in range(6))
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
    with pytest.raises(ForestInputError, match="f4"):
        forest.predict(rows)


def test_store_gives_back_the_same_forest_and_the_same_bytes(
    forest: Forest, data: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    version = store.save(forest, {"auc": 0.9}, tmp_path / "one")
    loaded = store.load(tmp_path / "one", NAMES)
    assert (loaded.predict(data[0]) == forest.predict(data[0])).all()
    assert loaded.version == version == store.save(forest, {}, tmp_path / "two")


@pytest.mark.parametrize("name", ["arrays", "card"])
def test_a_tampered_model_is_refused(forest: Forest, tmp_path: Path, name: str) -> None:
    store.save(forest, {}, tmp_path)
    if name == "arrays":
        path = next(tmp_path.glob("*.npz"))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path = tmp_path / "model.json"
        card = json.loads(path.read_text())
        card["calibration"]["slope"] = 9.0
        path.write_text(json.dumps(card))
    with pytest.raises(ModelError, match="digest"):
        store.load(tmp_path, NAMES)


def test_other_features_and_a_missing_model_are_refused(forest: Forest, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing"):
        store.load(tmp_path, NAMES)
    store.save(forest, {}, tmp_path)
    with pytest.raises(ModelError, match="other features"):
        store.load(tmp_path, NAMES[::-1])


def training_set(rows: int, borrowers: int) -> TrainingSet:
    draw = np.random.default_rng(9)
    features = draw.normal(0, 1, (rows, len(NAMES)))
    scored = draw.integers(700_000, 700_400, rows)
    return TrainingSet(
        features,
        (features[:, 0] + draw.normal(0, 0.5, rows) > 1).astype(np.int64),
        np.array([f"B{each}" for each in draw.integers(0, borrowers, rows)]),
        scored,
        scored + 20,
    )


def test_no_borrower_and_no_later_month_stands_on_both_sides() -> None:
    split = split_by_borrower_and_time(training_set(4000, 300))
    parts = (split.train, split.calibration, split.test)
    names = [set(part.borrower.tolist()) for part in parts]
    assert all(names)
    assert len(set().union(*names)) == sum(map(len, names))
    assert max(split.train.due_on.max(), split.calibration.due_on.max()) + 30 <= split.cut_off
    assert split.test.scored_on.min() > split.cut_off


def test_training_reports_on_what_it_has_not_seen_and_repeats_itself() -> None:
    data = training_set(4000, 300)
    first, again = (train_forest(data, feature_names=NAMES, seed=4) for _ in range(2))
    assert first.report == again.report
    assert first.report["test"]["auc"] > 0.85
    assert max(first.report["permutation_importance_auc"], key=first.report["permutation_importance_auc"].get) == "f0"


def test_what_cannot_train_is_said() -> None:
    data = training_set(4000, 300)
    one_class = TrainingSet(data.X, np.zeros_like(data.y), data.borrower, data.scored_on, data.due_on)
    with pytest.raises(TrainingError, match="both outcomes are needed"):
        train_forest(one_class, feature_names=NAMES, seed=1)
    data.X[3, 2] = np.inf
    with pytest.raises(TrainingError, match="f2"):
        train_forest(data, feature_names=NAMES, seed=1)
