"""The served online models: equal to River row by row, and only restored by their own recipe."""

import json

import numpy as np
import pytest

from models.online.model import OnlineModel
from models.serving.linear import LinearScorer, Recipe, SnapshotError
from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.snapshots import LinearSnapshot
from tests.support.contenders import BY_NAME, DATA, WIDTH, all_recipes, taught


@all_recipes
def test_the_scorer_equals_river_row_by_row(recipe: Recipe) -> None:
    model = taught(recipe, *DATA)
    scores = LinearScorer.from_snapshot(recipe, FEATURE_NAMES, model.snapshot()).predict(DATA[0])
    assert np.abs(scores - [model.predict(row) for row in DATA[0].tolist()]).max() < 1e-12
    assert scores.std() > 0.1


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


def test_a_products_credit_is_halved_between_its_factors() -> None:
    recipe = Recipe("p", rate=0.1, use=("a",), products=("a", "b"))
    scorer = LinearScorer.from_snapshot(recipe, ("a", "b"), OnlineModel(recipe, ("a", "b")).snapshot())
    assert scorer.columns.names == ("a", "a*a", "a*b", "b*b")
    assert scorer.columns.credits.tolist() == [[1, 0], [1, 0], [0.5, 0.5], [0, 1]]
    assert scorer.columns.of(np.array([[np.e - 1, np.e**2 - 1]])) == pytest.approx(np.array([[1, 1, 2, 4]]))
