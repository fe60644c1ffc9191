"""The learner's core: what it says is honest, and a crash anywhere changes nothing."""

from random import Random

import pytest
from pydantic import ValidationError

from models.serving.contenders import RECIPES
from streams.contracts.alerts import Alert
from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.labels import Label
from streams.contracts.snapshots import ModelSnapshot
from streams.learner.state import JUDGED, LearnerState
from tests.support.lessons import drifting_labels

LABELS = 900
WIDTH = len(FEATURE_NAMES)


@pytest.fixture(scope="module")
def labels() -> list[Label]:
    return drifting_labels(LABELS)


def restored(lesson: LearnerState) -> LearnerState:
    return LearnerState(ModelSnapshot.model_validate_json(lesson.snapshot().model_dump_json()))


def test_a_learner_killed_again_and_again_equals_one_that_never_was(labels: list[Label]) -> None:
    """Also the labels after its last snapshot, which it then meets a second time, bring the same alerts again."""
    whole = LearnerState()
    told: list[Alert] = []
    for offset, each in enumerate(labels):
        told += whole.learn(each, offset).alerts
    draw, lesson = Random(1), LearnerState()
    repeated: list[Alert] = []
    saved = lesson.snapshot().model_dump_json()
    while lesson.next_offset < LABELS:
        for offset in range(lesson.next_offset, min(lesson.next_offset + draw.randint(1, 120), LABELS)):
            repeated += lesson.learn(labels[offset], offset).alerts
            if draw.random() < 0.02:
                saved = lesson.snapshot().model_dump_json()
        lesson = LearnerState(ModelSnapshot.model_validate_json(saved)) if draw.random() < 0.6 else restored(lesson)
    assert lesson.snapshot() == whole.snapshot()
    assert lesson.quality() == whole.quality()
    by_id = {alert.alert_id: alert for alert in repeated}
    assert by_id == {alert.alert_id: alert for alert in told}
    assert {alert.subject for alert in told if alert.kind == "loss_drift"} >= {"forest"}


def test_a_repeated_label_changes_nothing_but_the_offset(labels: list[Label]) -> None:
    lesson = LearnerState()
    for offset, each in enumerate(labels[:10]):
        assert lesson.learn(each, offset).is_new
    before = lesson.snapshot()
    assert not lesson.learn(labels[9], 10).is_new
    assert not lesson.learn(labels[4], 11).is_new
    assert lesson.snapshot() == before.model_copy(update={"next_label_offset": 12})


def test_models_are_judged_only_by_what_they_said_at_the_time(labels: list[Label]) -> None:
    lesson = LearnerState()
    for offset, each in enumerate(labels[:150]):
        lesson.learn(each, offset)
    quality = lesson.quality()
    assert set(quality) == set(JUDGED)
    assert quality["forest"].labels == quality["blend"].labels == 150
    assert {quality[recipe.name].labels for recipe in RECIPES} == {50}
    assert lesson.online_weight == 0


def test_the_snapshot_stays_small(labels: list[Label]) -> None:
    lesson = LearnerState()
    sizes = []
    for offset in range(2500):
        each = labels[offset % LABELS]
        lesson.learn(each.model_copy(update={"origin_offset": offset, "borrower_id": f"B{offset}"}), offset)
        if offset % 500 == 499:
            sizes.append(len(lesson.snapshot().model_dump_json()))
    assert max(sizes) < 300_000


@pytest.mark.parametrize("features", [[0.0] * (WIDTH - 1), [float("nan")] * WIDTH, [1e300] * WIDTH])
def test_a_label_of_other_features_or_without_numbers_is_not_valid(labels: list[Label], features: list[float]) -> None:
    told = labels[0].model_dump() | {"features": features}
    with pytest.raises(ValidationError, match="features"):
        Label.model_validate(told)
