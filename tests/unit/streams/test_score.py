"""A model set's scores and reasons: exact, and the same in a batch of any size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier

from models.serving.contenders import RECIPES
from models.serving.forest import Calibration, Forest
from models.serving.linear import LinearScorer
from streams.contracts.feature_names import FEATURE_NAMES, NOTEBOOK_FEATURE_NAMES, ROW_NAMES, columns
from streams.features import open_loans
from streams.score import ModelSet, OnlineModels
from tests.support.contenders import DATA, WIDTH, taught
from tests.support.factories import RULES, account_of, opened

LOANS = open_loans(account_of(opened(), opened("L2", first_due=60)), RULES)


@pytest.fixture(scope="module")
def model_sets() -> list[ModelSet]:
    """A shallow, a deep and a notebook forest; alone, and with each recipe at several weights."""
    rows, truth = DATA
    made = []
    scorers = {
        recipe.name: LinearScorer.from_snapshot(recipe, FEATURE_NAMES, taught(recipe, rows, truth).snapshot())
        for recipe in RECIPES
    }
    for depth, calibration, names in (
        (2, Calibration(), FEATURE_NAMES),
        (9, Calibration(1.4, -0.3), FEATURE_NAMES),
        (4, Calibration(), NOTEBOOK_FEATURE_NAMES),
    ):
        table = np.hstack([rows, 100 * rows[:, : len(ROW_NAMES) - WIDTH]])[:, columns(names)]
        classifier = RandomForestClassifier(20, max_depth=depth, random_state=2).fit(table, truth.astype(int))
        forest = Forest.from_sklearn(classifier, names, calibration, "v")
        weights = [(recipe.name, 0.37) for recipe in RECIPES] + [("sgd", 0.0), ("sgd", 1.0)]
        made.append(ModelSet(forest))
        made += [ModelSet(forest, online=OnlineModels(scorers, name, weight, 600)) for name, weight in weights]
    return made


extreme = st.one_of(st.floats(-3, 400), st.sampled_from([-3.0, -1.0, 0.0, 1e-9, 0.5, 1.0, 100.0, 365.0, 1e6]))


@settings(deadline=None, max_examples=30)
@given(st.lists(extreme, min_size=len(ROW_NAMES), max_size=len(ROW_NAMES)))
def test_reasons_add_up_to_the_blended_score(model_sets: list[ModelSet], row: list[float]) -> None:
    for model_set in model_sets:
        base, (parts,) = model_set.contributions([tuple(row)])
        assert base + sum(parts) == pytest.approx(model_set.score([tuple(row)]).blend[0], abs=1e-9)


@pytest.mark.slow
def test_a_score_and_its_reasons_are_the_same_in_a_batch_of_any_size(model_sets: list[ModelSet]) -> None:
    rows = [(*row, 3000.0, 9000.0, 400.0) for row in DATA[0][:140].tolist()]
    for model_set in model_sets:
        blend, (_, reasons) = model_set.score(rows).blend.tolist(), model_set.contributions(rows)
        # 140 rows are more than the forest walks at once.
        for size in (1, 7, 64):
            parts = [rows[at : at + size] for at in range(0, len(rows), size)]
            assert [score for part in parts for score in model_set.score(part).blend.tolist()] == blend
            assert [each for part in parts for each in model_set.contributions(part)[1]] == reasons


def test_the_online_models_own_causes_show_when_it_carries_the_score(model_sets: list[ModelSet]) -> None:
    """A shallow forest splits on few features; the online model's weight on others must not be hidden."""
    features = np.linspace(0, 9, WIDTH)
    row = (*features.tolist(), 3000.0, 9000.0, 400.0)
    alone = next(model_set for model_set in model_sets if model_set.online is None)
    online = [model_set for model_set in model_sets if model_set.online and model_set.online_weight == 1.0]
    served = next(model_set for model_set in online if model_set.online and model_set.online.champion == "sgd")
    _, (by_forest,) = alone.contributions([row])
    _, (by_online,) = served.contributions([row])
    scorer = served.online.scorers["sgd"]  # type: ignore[union-attr]
    expected = scorer.weights * np.clip((features - scorer.means) * scorer.scales, -6, 6)
    assert np.argsort(by_online[:WIDTH]).tolist() == np.argsort(expected).tolist()
    assert by_online[WIDTH:] == [0.0] * 3
    assert max(zip(by_forest, ROW_NAMES, strict=True)) != max(zip(by_online, ROW_NAMES, strict=True))


def test_loans_keep_their_order_and_their_scores(book: ModelSet) -> None:
    together = list(book.score_loans(LOANS))
    assert [each.loan.loan_id for each in together] == ["L1", "L2"]
    assert together == [score for loan in LOANS for score in book.score_loans([loan])]
    assert list(book.score_loans([])) == []


def test_without_a_forest_nothing_is_known() -> None:
    (first, _) = ModelSet(None).score_loans(LOANS)
    assert (first.p_forest, first.p_online, first.p_blend, first.segment) == (0, 0, 0, None)
    assert ModelSet(None).versions == ("none", 0)
