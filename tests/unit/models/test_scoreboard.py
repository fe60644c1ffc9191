"""The record of judged predictions, the blend's weight and the choice of champion."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import log_loss, roc_auc_score

from models.online.blend import MIN_LABELS, online_share
from models.online.champion import choose_champion
from models.online.scoreboard import WINDOW, Scoreboard
from models.serving.blend import FOREST, combine
from streams.contracts.snapshots import ScoreboardSnapshot

NAMES = (FOREST, "a", "b")


def filled(labels: int, seed: int = 1, **skill: float) -> Scoreboard:
    """Each model is sure of the outcome by its skill, give or take: 0.5 knows nothing."""
    draw, record = Random(seed), Scoreboard(NAMES)
    for _ in range(labels):
        outcome = draw.random() < 0.3
        sure = {name: min(max(skill[name] + draw.gauss(0, 0.05), 0.01), 0.99) for name in skill}
        record.add({name: p if outcome else 1 - p for name, p in sure.items()}, outcome)
    return record


def test_quality_is_that_of_the_window_as_scikit_learn_sees_it() -> None:
    draw, record, seen = Random(4), Scoreboard(NAMES), []
    for _ in range(WINDOW + 700):
        outcome, p = draw.random() < 0.2, round(draw.random(), 5)
        record.add({FOREST: p}, outcome)
        seen.append((outcome, p))
    truth, predicted = zip(*seen[-WINDOW:], strict=True)
    quality = record.quality(FOREST)
    assert quality.labels == WINDOW
    assert quality.log_loss == pytest.approx(log_loss(truth, np.clip(predicted, 1e-4, 1 - 1e-4)))
    assert quality.auc == pytest.approx(roc_auc_score(truth, predicted))


def test_nothing_can_be_said_before_there_are_labels_of_both_kinds() -> None:
    record = Scoreboard(NAMES)
    assert record.quality("a") == (0, None, None)
    record.add({"a": 0.2}, False)
    labels, loss, auc = record.quality("a")
    assert (labels, loss, auc) == (1, pytest.approx(-math.log(0.8)), None)
    assert record.quality("b").labels == 0


predictions = st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1))


@given(st.lists(st.tuples(predictions, st.booleans()), max_size=40), st.integers(0, 40))
def test_a_record_restored_from_json_is_the_same_record(seen: list[tuple[dict[str, float], bool]], cut: int) -> None:
    whole, part = Scoreboard(NAMES), Scoreboard(NAMES)
    for said, outcome in seen:
        whole.add(said, outcome)
    for said, outcome in seen[:cut]:
        part.add(said, outcome)
    part = Scoreboard(NAMES, ScoreboardSnapshot.model_validate_json(part.snapshot().model_dump_json()))
    for said, outcome in seen[cut:]:
        part.add(said, outcome)
    assert part.snapshot() == whole.snapshot()
    assert all(part.losses(name).tolist() == whole.losses(name).tolist() for name in NAMES)


def test_a_snapshot_with_missing_predictions_is_refused() -> None:
    with pytest.raises(ValidationError, match="predictions of a"):
        ScoreboardSnapshot(outcomes=(1, 0), predictions={"a": (0.5,)})


def test_the_share_waits_then_follows_the_better_model() -> None:
    assert online_share(filled(MIN_LABELS - 1, forest=0.6, a=0.9), "a") == 0
    assert online_share(filled(MIN_LABELS, forest=0.6, a=0.9), "a") > 0.9
    assert online_share(filled(MIN_LABELS, forest=0.9, a=0.6), "a") < 0.1
    assert online_share(filled(WINDOW, forest=0.8, a=0.8), "a") == pytest.approx(0.5, abs=0.1)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_blend_lies_between_its_models(p_forest: float, p_online: float, share: float) -> None:
    mixed = float(combine(np.array([p_forest]), np.array([p_online]), share)[0])
    assert min(p_forest, p_online) - 1e-12 <= mixed <= max(p_forest, p_online) + 1e-12


def test_the_better_challenger_takes_over_and_keeps_the_place() -> None:
    record = filled(WINDOW, forest=0.8, a=0.7, b=0.75)
    assert choose_champion("a", ("a", "b"), record) == "b"
    assert choose_champion("b", ("a", "b"), record) == "b"
    assert choose_champion("a", ("a", "b"), filled(MIN_LABELS - 1, forest=0.8, a=0.7, b=0.75)) == "a"


def test_equals_do_not_take_turns() -> None:
    """Two models of the same skill, over many windows: the champion stays."""
    champion, switches = "a", 0
    for seed in range(40):
        chosen = choose_champion(champion, ("a", "b"), filled(500, seed=seed, forest=0.8, a=0.7, b=0.7))
        switches += chosen != champion
        champion = chosen
    assert switches <= 1
