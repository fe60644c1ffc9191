"""Which model snapshots are served: none that is damaged, stale or moves the scores too far at once."""

import json
import logging
from typing import Any

import numpy as np
import pytest
from aiokafka import ConsumerRecord

from models.serving.linear import SnapshotError
from streams.config.settings import Settings
from streams.contracts.labels import Label
from streams.contracts.snapshots import ModelSnapshot
from streams.contracts.topics import MODELS
from streams.kafka.snapshots import (
    HELD_KEY,
    ONLINE_KEY,
    FoundSnapshot,
    Judge,
    OlderSnapshotError,
    accepted_message,
    decode_snapshot,
)
from streams.learner.state import LearnerState
from streams.score import ModelSet
from streams.worker.model_feed import ModelFeed
from tests.support.lessons import drifting_labels
from tests.support.messages import message

LABELS = 500


@pytest.fixture(scope="module")
def labels() -> list[Label]:
    return drifting_labels(LABELS)


@pytest.fixture(scope="module")
def snapshots(labels: list[Label]) -> list[ModelSnapshot]:
    """One every 50 labels."""
    lesson, taken = LearnerState(), []
    for offset, each in enumerate(labels):
        lesson.learn(each, offset)
        if offset % 50 == 49:
            taken.append(lesson.snapshot())
    return taken


def bad(snapshot: ModelSnapshot, later: int = 1) -> ModelSnapshot:
    """The same models, gone wrong: the champion is sure of everybody's ruin and has all the weight."""
    champion = snapshot.contenders[snapshot.champion].model_copy(update={"intercept": 50.0})
    return snapshot.model_copy(
        update={
            "contenders": snapshot.contenders | {snapshot.champion: champion},
            "online_weight": 1.0,
            "next_label_offset": snapshot.next_label_offset + later,
            "labels_learnt": snapshot.labels_learnt + later,
        }
    )


def found(snapshot: ModelSnapshot, offset: int = 0, key: bytes = ONLINE_KEY, accepted: bool = False) -> FoundSnapshot:
    return FoundSnapshot(offset, key, accepted, snapshot)


def sent(snapshot: ModelSnapshot, offset: int, key: bytes = ONLINE_KEY) -> ConsumerRecord:
    return message(MODELS, snapshot.model_dump_json().encode(), key, offset=offset)


def spoilt(snapshot: ModelSnapshot, value: Any, *path: str | int) -> bytes:
    """The snapshot as JSON with one value replaced."""
    told = json.loads(snapshot.model_dump_json())
    place = told
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(told).encode()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.parametrize(
    "path",
    [
        ("online_weight",),
        ("contenders", "adagrad", "intercept"),
        ("contenders", "adagrad", "weights", 0),
        ("contenders", "sgd", "means", 3),
        ("contenders", "sgd", "variances", 3),
        ("contenders", "adagrad", "squared_gradients", 0),
        ("record", "predictions", "forest", 0),
        ("feature_drift", "rows", 0, 0),
        ("reference", "rows", 0, 0),
        ("reference", "forest_scores", 0),
        ("next_label_offset",),
    ],
)
def test_a_number_that_is_none_is_refused_wherever_it_stands(
    snapshots: list[ModelSnapshot], number: float, path: tuple[str | int, ...]
) -> None:
    assert decode_snapshot(snapshots[-1].model_dump_json().encode()) == snapshots[-1]
    with pytest.raises(SnapshotError):
        decode_snapshot(spoilt(snapshots[-1], number, *path))


def test_variances_below_zero_outcomes_beyond_one_and_shapes_that_disagree_are_refused(
    snapshots: list[ModelSnapshot],
) -> None:
    for value, *path in (
        (-1.0, "contenders", "adagrad", "variances", 0),
        (2, "record", "outcomes", 0),
        ([0.5], "reference", "forest_scores"),
        ([[1.0]], "feature_drift", "edges"),
        ([[1, 2], [3]], "feature_drift", "window"),
        (["x"] * 5000, "contenders", "adagrad", "columns"),
        ({str(n): snapshots[-1].labels_learnt for n in range(100)}, "loss_fed"),
    ):
        with pytest.raises(SnapshotError):
            decode_snapshot(spoilt(snapshots[-1], value, *path))
    told = json.loads(snapshots[-1].model_dump_json())
    told["feature_drift"] = {"rows": [[1.0, 2.0]]}
    with pytest.raises(SnapshotError, match="other features"):
        LearnerState(ModelSnapshot.model_validate(told))


def test_only_the_past_may_be_learnt_anew(snapshots: list[ModelSnapshot]) -> None:
    with pytest.raises(OlderSnapshotError, match="schema_version"):
        decode_snapshot(spoilt(snapshots[-1], 1, "schema_version"))
    for version in (3, 0, -1, "1", None):
        with pytest.raises(SnapshotError) as raised:
            decode_snapshot(spoilt(snapshots[-1], version, "schema_version"))
        assert not isinstance(raised.value, OlderSnapshotError)


def test_a_snapshot_of_a_riskmon_before_the_reference_rows_is_read(snapshots: list[ModelSnapshot]) -> None:
    told = json.loads(snapshots[-1].model_dump_json())
    del told["reference"]
    assert decode_snapshot(json.dumps(told).encode()).reference.rows == ()


def test_what_a_learner_learns_label_by_label_is_served(snapshots: list[ModelSnapshot]) -> None:
    judge = Judge()
    assert {judge.take(found(each, at)) for at, each in enumerate(snapshots)} == {"in force"}
    assert judge.in_force_offset == len(snapshots) - 1


def test_a_snapshot_that_moves_the_scores_too_far_waits_for_a_person(snapshots: list[ModelSnapshot]) -> None:
    judge = Judge()
    judge.take(found(snapshots[-2], 0))
    good = judge.in_force
    wrong = bad(snapshots[-1])
    assert judge.take(found(wrong, 1)) == judge.take(found(wrong, 2)) == "held back"
    assert (judge.in_force, judge.held, judge.in_force_offset) == (good, 2, 0)
    assert judge.last_move > 0.5
    assert judge.take(found(wrong, 3, accepted=True)) == "in force"
    assert (judge.held, judge.in_force_offset) == (0, 3)
    # What follows is measured by what was accepted.
    assert judge.take(found(bad(snapshots[-1], 2), 4)) == "in force"


def test_scores_that_change_places_are_held_back_though_their_mean_stays(snapshots: list[ModelSnapshot]) -> None:
    judge = Judge()
    judge.take(found(snapshots[-1].model_copy(update={"online_weight": 1.0})), first=True)
    model = snapshots[-1].contenders[snapshots[-1].champion]
    turned = model.model_copy(
        update={"weights": tuple(-each for each in model.weights), "intercept": model.intercept + 3}
    )
    swapped = snapshots[-1].model_copy(
        update={"contenders": snapshots[-1].contenders | {snapshots[-1].champion: turned}, "online_weight": 1.0}
    )
    assert judge.take(found(swapped)) == "held back"


def test_the_first_snapshot_of_all_is_measured_by_the_forest(snapshots: list[ModelSnapshot]) -> None:
    assert Judge().take(found(bad(snapshots[-1]))) == "held back"
    assert Judge().take(found(bad(snapshots[-1])), first=True) == "in force"


def test_a_snapshot_behind_one_seen_before_is_stale_also_behind_one_held_back(snapshots: list[ModelSnapshot]) -> None:
    judge = Judge()
    judge.take(found(snapshots[-1]), first=True)
    assert judge.take(found(snapshots[-2])) == "stale"
    judge.take(found(bad(snapshots[-1], 100)))
    assert judge.take(found(bad(snapshots[-1], 99), key=HELD_KEY)) == "stale"


def test_workers_agree_whatever_they_scored_and_whenever_they_began(snapshots: list[ModelSnapshot]) -> None:
    """Verdicts follow from the topic alone; a worker that begins later reads the same messages."""
    topic = [found(each, at) for at, each in enumerate(snapshots)]
    topic.insert(7, found(bad(snapshots[6]), 70))
    early, late = Judge(), Judge()
    for each in topic:
        early.take(each)
    for at, each in enumerate(topic[5:]):
        late.take(each, first=at == 0)
    assert early.in_force is not None
    assert late.in_force is not None
    rows = snapshots[-1].reference
    assert np.array_equal(early.in_force.blended(rows), late.in_force.blended(rows))
    assert early.seen == late.seen


def test_scorers_pass_over_what_they_cannot_use_and_go_on(
    snapshots: list[ModelSnapshot], caplog: pytest.LogCaptureFixture
) -> None:
    feed = ModelFeed(Settings().kafka, ModelSet(None))
    feed._take_all([sent(snapshots[0], 0)], first=True)
    model_set = feed.model_set
    assert model_set.versions.online == 50
    old = {"schema_version": 1, "model": {}, "blend": {}, "next_label_offset": 3, "learnt_to": {}}
    values = (
        b"{",
        b"",
        json.dumps(old).encode(),
        spoilt(snapshots[0], "unheard_of", "champion"),
        spoilt(snapshots[0], float("nan"), "contenders", "adagrad", "intercept"),
    )
    with caplog.at_level(logging.ERROR):
        feed._take_all(
            [message(MODELS, each, ONLINE_KEY, offset=1 + at) for at, each in enumerate(values)], first=False
        )
        feed._take_all([sent(snapshots[1], 8, b"a stranger's key"), message(MODELS, b"x", None, offset=9)], first=False)
        feed._take_all([message(MODELS, None, HELD_KEY, offset=10)], first=False)
    assert feed.model_set is model_set
    assert len([each for each in caplog.records if "not usable" in each.message]) == 7
    feed._take_all([sent(snapshots[1], 11)], first=False)
    assert feed.model_set.versions.online == 100


def test_a_message_is_taken_once_though_two_readers_meet_it(snapshots: list[ModelSnapshot]) -> None:
    feed = ModelFeed(Settings().kafka, ModelSet(None))
    wrong = sent(bad(snapshots[1]), 5)
    feed._take_all([sent(snapshots[0], 0), wrong], first=True)
    feed._take_all([wrong], first=False)
    assert feed._judge.held == 1


def test_a_reset_leaves_the_forest_alone(snapshots: list[ModelSnapshot]) -> None:
    feed = ModelFeed(Settings().kafka, ModelSet(None))
    feed._take_all([sent(snapshots[3], 0), message(MODELS, None, ONLINE_KEY, offset=1)], first=True)
    assert feed.model_set.online is None
    feed._take_all([sent(snapshots[0], 2)], first=False)
    assert feed.model_set.versions.online == 50


def test_who_accepted_a_snapshot_stands_with_it(snapshots: list[ModelSnapshot]) -> None:
    accepted = accepted_message(found(snapshots[0], 4, HELD_KEY), "head of risk")
    assert (accepted.key, dict(accepted.headers)) == (ONLINE_KEY, {"riskmon-accepted": b"head of risk"})
