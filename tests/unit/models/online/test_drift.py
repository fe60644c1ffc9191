"""Drift: found where there is one, seldom where there is none, and the same after a restart."""

from random import Random

import numpy as np
import pytest

from models.online.drift import PSI_DAYS, PSI_LABELS, FeatureDrift, LossDrift, stability_index
from models.online.scoreboard import WINDOW, Scoreboard
from streams.contracts.snapshots import FeatureDriftSnapshot, ScoreboardSnapshot

NAMES = ("forest", "a")


def label(draw: Random, risk: float) -> tuple[dict[str, float], bool]:
    """Both models expect 10 %; `risk` is the truth. Model `a` does not predict every label."""
    said = {"forest": 0.1 + draw.gauss(0, 0.01), "a": 0.1 + draw.gauss(0, 0.02)}
    if draw.random() < 0.2:
        del said["a"]
    return said, draw.random() < risk


def test_a_risen_loss_is_found_within_some_hundred_labels_and_told_once() -> None:
    draw, record = Random(2), Scoreboard(NAMES)
    monitor, found = LossDrift(NAMES, record), []
    for number in range(3000):
        record.add(*label(draw, 0.1 if number < 1500 else 0.3))
        found += [(number, each) for each in monitor.take()]
    assert sorted(each.subject for _, each in found) == ["a", "forest"]
    for number, each in found:
        assert 1500 < number < 1900
        assert each.after > each.before + 0.05


def test_a_loss_that_stays_or_falls_raises_nothing() -> None:
    draw, record = Random(3), Scoreboard(NAMES)
    monitor, found = LossDrift(NAMES, record), []
    for number in range(5000):
        record.add(*label(draw, 0.3 if number < 2000 else 0.1))
        found += monitor.take()
    assert found == []
    assert max(monitor.fed.values()) < WINDOW


@pytest.mark.parametrize("cut", [0, 1, 700, 1400, 2600])
def test_a_detector_resumes_as_if_never_interrupted(cut: int) -> None:
    """Also when labels without predictions push older ones out of the record."""

    def run(cut: int | None) -> tuple[list[tuple[int, str, float, float]], dict[str, int]]:
        draw, record = Random(5), Scoreboard(NAMES)
        monitor, found = LossDrift(NAMES, record), []
        for number in range(3000):
            if number == cut:
                record = Scoreboard(NAMES, ScoreboardSnapshot.model_validate_json(record.snapshot().model_dump_json()))
                monitor = LossDrift(NAMES, record, monitor.fed)
            said, outcome = label(draw, 0.1 if number % 2000 < 1500 else 0.3)
            record.add({} if 900 < number < 1300 else said, outcome)
            found += [(number, *each) for each in monitor.take()]
        return found, monitor.fed

    assert run(cut) == run(None)
    assert run(None)[0]


def months(draw: Random, count: int, shift: float, first: int = 0) -> list[tuple[list[float], int]]:
    """Months of 1,000 labels: a number that may shift, a flag, a constant."""
    return [
        ([draw.gauss(shift, 1), float(draw.random() < 0.2), 7.0], 1 + 30 * (first + month) + number * 30 // PSI_LABELS)
        for month in range(count)
        for number in range(PSI_LABELS)
    ]


def test_a_shifted_feature_is_named_once_and_becomes_the_reference() -> None:
    draw = Random(7)
    monitor = FeatureDrift(("amount", "flag", "constant"))
    found = []
    for features, day in months(draw, 3, 0) + months(draw, 4, 1.0, first=3):
        found += monitor.take(features, day)
    assert [each.subject for each in found] == ["amount"]
    assert found[0].after > 0.5
    assert set(monitor.indices()) == {"amount", "flag", "constant"}
    assert max(monitor.indices().values()) < 0.1


def test_a_window_is_a_month_however_many_labels_it_holds() -> None:
    draw = Random(8)
    monitor = FeatureDrift(("amount",))
    for number in range(5 * PSI_LABELS):
        assert monitor.take([draw.gauss(number / PSI_LABELS, 1)], 1 + number % PSI_DAYS) == []
    assert monitor.indices() == {}


@pytest.mark.parametrize("cut", [1, PSI_LABELS - 1, PSI_LABELS, 3500])
def test_a_feature_monitor_resumes_as_if_never_interrupted(cut: int) -> None:
    names, draw = ("amount", "flag", "constant"), Random(9)
    labels = months(draw, 2, 0) + months(draw, 3, 0.8, first=2)
    whole, part = FeatureDrift(names), FeatureDrift(names)
    found: tuple[list[object], list[object]] = ([], [])
    for number, (features, day) in enumerate(labels):
        if number == cut:
            part = FeatureDrift(names, FeatureDriftSnapshot.model_validate_json(part.snapshot().model_dump_json()))
        found[0].extend(whole.take(features, day))
        found[1].extend(part.take(features, day))
    assert found[0] == found[1] != []
    assert part.snapshot() == whole.snapshot()


def test_the_stability_index_is_siddiqis() -> None:
    """Two bins, 50/50 against 80/20: (0.8 − 0.5)·ln(0.8/0.5) + (0.2 − 0.5)·ln(0.2/0.5)."""
    index = stability_index(np.array([50_000, 50_000]), np.array([80_000, 20_000]))
    assert index == pytest.approx(0.4159, abs=1e-3)
    assert stability_index(np.array([10, 0]), np.array([10, 0])) == 0
