"""The online models: River's own, and restorable from JSON to the last bit."""

import numpy as np
from river import linear_model, optim, preprocessing

from models.online.model import OnlineModel
from models.serving.linear import LinearScorer, Recipe
from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.snapshots import LinearSnapshot
from tests.support.contenders import BY_NAME, DATA, all_recipes, taught


@all_recipes
def test_a_model_resumes_from_json_as_if_never_interrupted(recipe: Recipe) -> None:
    rows, truth = DATA
    whole = taught(recipe, rows, truth)
    stored = taught(recipe, rows[:250], truth[:250]).snapshot().model_dump_json()
    restored = OnlineModel.from_snapshot(recipe, FEATURE_NAMES, LinearSnapshot.model_validate_json(stored))
    assert taught(recipe, rows[250:], truth[250:], restored).snapshot() == whole.snapshot()


def test_the_plain_recipe_is_rivers_own_pipeline() -> None:
    rows, truth = DATA[0][:300], DATA[1][:300]
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
