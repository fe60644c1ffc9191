"""Targets: each has a meaning, and features that a worker's row holds."""

import pytest

from models.serving.contenders import RECIPES
from models.serving.targets import CONTRACTS, MEANING, Target, feature_names
from streams.contracts.feature_names import FEATURE_NAMES, NOTEBOOK_FEATURE_NAMES, ROW_NAMES


@pytest.mark.parametrize("target", Target)
def test_every_target_has_a_meaning_and_features_of_a_row(target: Target) -> None:
    assert MEANING[target]
    assert set(feature_names(target)) <= set(ROW_NAMES)
    assert len(set(feature_names(target))) == len(CONTRACTS[target])


def test_the_streams_target_and_the_notebooks_have_their_own_features() -> None:
    assert feature_names(Target.NEXT_INSTALMENT) == FEATURE_NAMES
    assert feature_names(Target.NOTEBOOK) == NOTEBOOK_FEATURE_NAMES
    assert [target.value for target in Target] == ["next-instalment", "notebook"]


def test_the_contenders_use_features_that_are_there_and_one_is_only_a_yardstick() -> None:
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
    for recipe in RECIPES:
        assert {*recipe.use, *recipe.products} <= set(FEATURE_NAMES)
    assert [recipe.name for recipe in RECIPES if not recipe.eligible] == ["baseline"]
