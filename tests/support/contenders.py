"""Rows, outcomes and online models taught with them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.online.model import OnlineModel
from models.serving.arrays import Floats
from models.serving.contenders import RECIPES
from models.serving.linear import Recipe
from streams.contracts.feature_names import FEATURE_NAMES

BY_NAME = {recipe.name: recipe for recipe in RECIPES}


WIDTH = len(FEATURE_NAMES)


all_recipes = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)


def _rows_and_outcomes() -> tuple[Floats, NDArray[np.bool_]]:
    draw = np.random.default_rng(3)
    rows: Floats = draw.exponential(4, (600, WIDTH)) * (draw.random((600, WIDTH)) > 0.3)
    odds = 0.4 * rows[:, 0] - 0.3 * rows[:, 6] + 0.2 * rows[:, 1] - 1
    return rows, draw.random(600) < 1 / (1 + np.exp(-odds))


DATA = _rows_and_outcomes()


def taught(recipe: Recipe, rows: Floats, truth: NDArray[np.bool_], model: OnlineModel | None = None) -> OnlineModel:
    model = model or OnlineModel(recipe, FEATURE_NAMES)
    for row, outcome in zip(rows.tolist(), truth.tolist(), strict=True):
        model.learn(row, outcome)
    return model
