"""The scoreboard: figures as scikit-learn has them, and the same after a restart."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import log_loss, roc_auc_score

from models.online.scoreboard import WINDOW, Scoreboard
from models.serving.blend import FOREST
from streams.contracts.snapshots import ScoreboardSnapshot
from tests.support.scoreboards import NAMES


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
    quality = record.quality("a")
    assert (quality.labels, quality.auc) == (1, None)
    assert quality.log_loss == pytest.approx(-math.log(0.8))
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
