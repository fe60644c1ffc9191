"""The online models: equal to River, restorable from JSON to the last bit, and explained exactly."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import linear_model, optim, preprocessing
from sklearn.ensemble import RandomForestClassifier

from models.online.model import OnlineModel
from models.serving.contenders import RECIPES
from models.serving.forest import Calibration, Forest
from models.serving.linear import LinearScorer, Recipe, SnapshotError
from streams.contracts.feature_names import FEATURE_NAMES, NOTEBOOK_FEATURE_NAMES, ROW_NAMES, columns
from streams.contracts.snapshots import LinearSnapshot
from streams.score import ModelSet, OnlineModels

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
WIDTH = len(FEATURE_NAMES)
all_recipes = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    rows = draw.exponential(4, (600, WIDTH)) * (draw.random((600, WIDTH)) > 0.3)
    odds = 0.4 * rows[:, 0] - 0.3 * rows[:, 6] + 0.2 * rows[:, 1] - 1
    return rows, draw.random(600) < 1 / (1 + np.exp(-odds))


def taught(recipe: Recipe, rows: np.ndarray, truth: np.ndarray, model: OnlineModel | None = None) -> OnlineModel:
    model = model or OnlineModel(recipe, FEATURE_NAMES)
    for row, outcome in zip(rows.tolist(), truth.tolist(), strict=True):
        model.learn(row, outcome)
    return model


@all_recipes
def test_a_model_resumes_from_json_as_if_never_interrupted(recipe: Recipe, data: tuple[np.ndarray, np.ndarray]) -> None:
    rows, truth = data
    whole = taught(recipe, rows, truth)
    stored = taught(recipe, rows[:250], truth[:250]).snapshot().model_dump_json()
    restored = OnlineModel.from_snapshot(recipe, FEATURE_NAMES, LinearSnapshot.model_validate_json(stored))
    assert taught(recipe, rows[250:], truth[250:], restored).snapshot() == whole.snapshot()


@all_recipes
def test_the_scorer_equals_river_row_by_row(recipe: Recipe, data: tuple[np.ndarray, np.ndarray]) -> None:
    model = taught(recipe, *data)
    scores = LinearScorer.from_snapshot(recipe, FEATURE_NAMES, model.snapshot()).predict(data[0])
    assert np.abs(scores - [model.predict(row) for row in data[0].tolist()]).max() < 1e-12
    assert scores.std() > 0.1


def test_the_plain_recipe_is_rivers_own_pipeline(data: tuple[np.ndarray, np.ndarray]) -> None:
    rows, truth = data[0][:300], data[1][:300]
    pipeline = preprocessing.StandardScaler() | linear_model.LogisticRegression(
        optim.SGD(0.02), intercept_lr=0.02, l2=1e-4
    )
    for row, outcome in zip(rows.tolist(), truth.tolist(), strict=True):
        pipeline.learn_one(dict(zip(FEATURE_NAMES, row, strict=True)), outcome)
    scores = LinearScorer.from_snapshot(
        BY_NAME["sgd"], FEATURE_NAMES, taught(BY_NAME["sgd"], rows, truth).snapshot()
    ).predict(rows)
    expected = [pipeline.predict_proba_one(dict(zip(FEATURE_NAMES, row, strict=True)))[True] for row in rows.tolist()]
    # River's pipeline updates its scaler after the regression, and does not clip; the models still agree closely.
    assert np.corrcoef(scores, expected)[0, 1] > 0.99


@all_recipes
def test_a_fresh_model_scores_one_half(recipe: Recipe) -> None:
    fresh = OnlineModel(recipe, FEATURE_NAMES)
    scorer = LinearScorer.from_snapshot(recipe, FEATURE_NAMES, fresh.snapshot())
    assert scorer.predict(np.ones((1, WIDTH)))[0] == fresh.predict([1.0] * WIDTH) == 0.5


@pytest.mark.parametrize("damage", ["columns", "weights", "squared_gradients"])
def test_a_snapshot_of_another_recipe_is_refused(damage: str) -> None:
    recipe = BY_NAME["adagrad"]
    told = json.loads(OnlineModel(recipe, FEATURE_NAMES).snapshot().model_dump_json())
    told[damage] = told[damage][:-1]
    snapshot = LinearSnapshot.model_validate(told)
    for restore in (OnlineModel.from_snapshot, LinearScorer.from_snapshot):
        with pytest.raises(SnapshotError, match="adagrad"):
            restore(recipe, FEATURE_NAMES, snapshot)


@pytest.fixture(scope="module")
def books(data: tuple[np.ndarray, np.ndarray]) -> list[ModelSet]:
    """A shallow, a deep and a notebook forest; alone, and with each recipe at several weights."""
    rows, truth = data
    made = []
    for depth, calibration, names in (
        (2, Calibration(), FEATURE_NAMES),
        (9, Calibration(1.4, -0.3), FEATURE_NAMES),
        (4, Calibration(), NOTEBOOK_FEATURE_NAMES),
    ):
        table = np.hstack([rows, 100 * rows[:, : len(ROW_NAMES) - WIDTH]])[:, columns(names)]
        classifier = RandomForestClassifier(20, max_depth=depth, random_state=2).fit(table, truth.astype(int))
        forest = Forest.from_sklearn(classifier, names, calibration, "v")
        made.append(ModelSet(forest))
        scorers = {
            recipe.name: LinearScorer.from_snapshot(recipe, FEATURE_NAMES, taught(recipe, rows, truth).snapshot())
            for recipe in RECIPES
        }
        made += [
            ModelSet(forest, online=OnlineModels(scorers, recipe.name, weight, 600))
            for recipe in RECIPES
            for weight in (0.0, 0.37, 1.0)
        ]
    return made


extreme = st.one_of(st.floats(-3, 400), st.sampled_from([-3.0, -1.0, 0.0, 1e-9, 0.5, 1.0, 100.0, 365.0, 1e6]))


@settings(deadline=None, max_examples=60)
@given(st.lists(extreme, min_size=len(ROW_NAMES), max_size=len(ROW_NAMES)))
def test_reasons_add_up_to_the_blended_score(books: list[ModelSet], row: list[float]) -> None:
    for book in books:
        base, (parts,) = book.contributions([tuple(row)])
        assert base + sum(parts) == pytest.approx(book.score([tuple(row)]).blend[0], abs=1e-9)


def test_a_score_and_its_reasons_are_the_same_in_a_batch_of_any_size(
    books: list[ModelSet], data: tuple[np.ndarray, np.ndarray]
) -> None:
    rows = [(*row, 3000.0, 9000.0, 400.0) for row in data[0][:203].tolist()]
    for book in books:
        blend, (_, reasons) = book.score(rows).blend.tolist(), book.contributions(rows)
        for size in (1, 7, 64):
            parts = [rows[at : at + size] for at in range(0, len(rows), size)]
            assert [score for part in parts for score in book.score(part).blend.tolist()] == blend
            assert [each for part in parts for each in book.contributions(part)[1]] == reasons


def test_the_online_models_own_causes_show_when_it_carries_the_score(books: list[ModelSet]) -> None:
    """A shallow forest splits on few features; the online model's weight on others must not be hidden."""
    features = np.linspace(0, 9, WIDTH)
    row = (*features.tolist(), 3000.0, 9000.0, 400.0)
    alone = next(book for book in books if book.online is None)
    served = next(book for book in books if book.online and book.online.champion == "sgd" and book.online_weight == 1.0)
    _, (by_forest,) = alone.contributions([row])
    _, (by_online,) = served.contributions([row])
    scorer = served.online.scorers["sgd"]  # type: ignore[union-attr]
    expected = scorer.weights * np.clip((features - scorer.means) * scorer.scales, -6, 6)
    assert np.argsort(by_online[:WIDTH]).tolist() == np.argsort(expected).tolist()
    assert by_online[WIDTH:] == [0.0] * 3
    assert max(zip(by_forest, ROW_NAMES, strict=True)) != max(zip(by_online, ROW_NAMES, strict=True))


def test_a_products_credit_is_halved_between_its_factors() -> None:
    recipe = Recipe("p", rate=0.1, use=("a",), products=("a", "b"))
    scorer = LinearScorer.from_snapshot(recipe, ("a", "b"), OnlineModel(recipe, ("a", "b")).snapshot())
    assert scorer.columns.names == ("a", "a*a", "a*b", "b*b")
    assert scorer.columns.credits.tolist() == [[1, 0], [1, 0], [0.5, 0.5], [0, 1]]
    assert scorer.columns.of(np.array([[np.e - 1, np.e**2 - 1]])) == pytest.approx(np.array([[1, 1, 2, 4]]))
