"""Forest, online model, blend and store: equal to their libraries, restorable, and safe to load."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from models.serving import store
from models.serving.forest import Calibration, Forest, ForestInputError
from models.serving.segments import Segmenter
from models.serving.store import Model, ModelError
from models.serving.targets import Target
from streams.contracts.feature_names import NOTEBOOK_FEATURE_NAMES, NOTEBOOK_FEATURES
from streams.contracts.vocabulary import Segment

NAMES = NOTEBOOK_FEATURE_NAMES
SEGMENTER = Segmenter(
    np.zeros(5), np.ones(5), np.array([[1.0] * 5, [-1.0] * 5]), (Segment.BALANCED, Segment.HIGH_INCOME_LOW_RISK)
)
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


def test_store_gives_back_the_same_forest_and_the_same_bytes(
    forest: Forest, data: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    model = Model(forest, SEGMENTER, Target.NOTEBOOK)
    version = store.save(model, {"auc": 0.9}, "text", tmp_path / "one")
    loaded = store.load(tmp_path / "one")
    assert (loaded.forest.predict(data[0]) == forest.predict(data[0])).all()
    assert loaded.segmenter.assign(data[0]) == SEGMENTER.assign(data[0])
    assert loaded.target is Target.NOTEBOOK
    assert loaded.forest.version == version == store.save(model, {}, "", tmp_path / "two")
    assert (tmp_path / "one" / "MODEL_CARD.md").read_text() == "text"


@pytest.mark.parametrize("name", ["arrays", "card"])
def test_a_tampered_model_is_refused(forest: Forest, tmp_path: Path, name: str) -> None:
    store.save(Model(forest, SEGMENTER, Target.NOTEBOOK), {}, "", tmp_path)
    if name == "arrays":
        path = next(tmp_path.glob("*.npz"))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path = tmp_path / "model.json"
        card = json.loads(path.read_text())
        card["segments"]["centres"][0][0] = 9.0
        path.write_text(json.dumps(card))
    with pytest.raises(ModelError, match="digest"):
        store.load(tmp_path)


def rewrite_card(folder: Path, **told: object) -> None:
    """Change a saved card, with a digest that fits again."""
    path = folder / "model.json"
    card = json.loads(path.read_text()) | told
    del card["card_sha256"]
    card["card_sha256"] = hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(card))


@pytest.mark.parametrize("change", ["name", "unit", "order"])
def test_other_features_other_units_and_another_order_are_refused(forest: Forest, tmp_path: Path, change: str) -> None:
    store.save(Model(forest, SEGMENTER, Target.NOTEBOOK), {}, "", tmp_path)
    features = [feature._asdict() for feature in NOTEBOOK_FEATURES]
    if change == "order":
        features.reverse()
    else:
        features[3][change] = "something else"
    rewrite_card(tmp_path, features=features)
    with pytest.raises(ModelError, match="other features"):
        store.load(tmp_path)


def test_a_missing_model_and_one_of_the_time_before_segments_are_refused(forest: Forest, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing"):
        store.load(tmp_path)
    store.save(Model(forest, SEGMENTER, Target.NOTEBOOK), {}, "", tmp_path)
    rewrite_card(tmp_path, format=1)
    with pytest.raises(ModelError, match=r"no segments.*train again"):
        store.load(tmp_path)
