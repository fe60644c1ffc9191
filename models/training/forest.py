"""Training a forest: split by borrower and by time, calibrated on borrowers it has not seen, judged on others."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from models.serving.arrays import Floats, Outcomes
from models.serving.forest import Calibration, Forest, log_odds
from models.serving.segments import Segmenter
from models.serving.targets import MEANING, Target, feature_names
from models.training.clustering import fit_segments
from models.training.costs import CostReport, Policy, cost_report
from models.training.evaluation import Evaluation, Importance, evaluate, importances
from models.training.fairness import GroupRates, Person, fairness
from streams.contracts.vocabulary import Segment

_LAST_SHARE = 0.3
_TREES = 100
_DEPTH = 9
_LEAF = 15
_GROUPS = 10
_CALIBRATION_GROUPS = (6, 7)
_TEST_GROUPS = (8, 9)


class TrainingError(ValueError):
    """The data cannot train a model; the text says what is missing."""


@dataclass(frozen=True)
class TrainingSet:
    """n scorings: features (n × f), outcome 0 or 1, borrower; days of scoring and of knowing the outcome (ordinals)."""

    X: Floats
    y: Outcomes
    borrower: NDArray[np.str_]
    scored_on: NDArray[np.int64]
    known_on: NDArray[np.int64]

    def where(self, mask: NDArray[np.bool_]) -> TrainingSet:
        """The rows that the mask selects."""
        return TrainingSet(self.X[mask], self.y[mask], self.borrower[mask], self.scored_on[mask], self.known_on[mask])


@dataclass(frozen=True)
class History:
    """What a forest of the stream's target learns from.

    Scorings with their outcomes; the newest state of every loan (m × `NOTEBOOK_FEATURES`), in which segments are found;
    who the borrowers are, for the fairness report only; and a name for the model card.
    """

    outcomes: TrainingSet
    loans: Floats
    people: Mapping[str, Person]
    name: str


@dataclass(frozen=True)
class Split:
    """Training, calibration and test rows; `cut_off` (ordinal) parts the past from the time they are judged in."""

    train: TrainingSet
    calibration: TrainingSet
    test: TrainingSet
    cut_off: int


@dataclass(frozen=True)
class PartReport:
    """Rows and borrowers of a part, and the share of rows whose outcome was bad."""

    rows: int
    borrowers: int
    base_rate: float


@dataclass(frozen=True)
class SegmentReport:
    """A segment: how many loans it holds, and its centre in the features' units."""

    name: Segment
    loans: int
    typical: dict[str, float]


@dataclass(frozen=True)
class TrainingReport:
    """All that was found while training; everything but `segments` and `parts` is about the test part."""

    target: Target
    meaning: str
    data: str
    seed: int
    cut_off: str | None
    parts: dict[str, PartReport]
    test: Evaluation
    importance: tuple[Importance, ...]
    costs: CostReport
    fairness: tuple[GroupRates, ...]
    segments: tuple[SegmentReport, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The report in JSON's types; amounts are strings."""
        report: dict[str, Any] = TypeAdapter(TrainingReport).dump_python(self, mode="json")
        return report


@dataclass(frozen=True)
class TrainedModel:
    """The forest, its segments, and the report of the training."""

    forest: Forest
    segmenter: Segmenter
    report: TrainingReport


def split_by_borrower_and_time(data: TrainingSet) -> Split:
    """No borrower stands in two parts; what trains was known before the cut-off, what judges was scored after it."""
    if len(data.y) == 0:
        raise TrainingError("no outcome is known yet: the history is too short")
    cut_off = int(np.quantile(data.scored_on, 1 - _LAST_SHARE))
    calibration, test = held_out_borrowers(data.borrower)
    known = data.known_on <= cut_off
    return Split(
        train=data.where(known & ~calibration & ~test),
        calibration=data.where(known & calibration),
        test=data.where((data.scored_on > cut_off) & test),
        cut_off=cut_off,
    )


def held_out_borrowers(borrower: NDArray[np.str_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows are for calibration and which for the test: two tenths each, by a hash of the borrower's id."""
    group = np.array([zlib.crc32(name.encode()) % _GROUPS for name in borrower.tolist()])
    return np.isin(group, _CALIBRATION_GROUPS), np.isin(group, _TEST_GROUPS)


def train_forest(history: History, policy: Policy, seed: int) -> TrainedModel:
    """Fit, calibrate and judge a forest. Raises `TrainingError` where a part is empty or has one class only."""
    names = feature_names(Target.NEXT_INSTALMENT)
    split = split_by_borrower_and_time(history.outcomes)
    parts = {"train": split.train, "calibration": split.calibration, "test": split.test}
    classifier, forest = fit_calibrated(
        names, (split.train.X, split.train.y), (split.calibration.X, split.calibration.y), seed
    )
    test = split.test
    require_both_classes("test", test.y)
    scores = forest.predict(test.X)
    segmenter = fit_segments(history.loans, seed)
    report = TrainingReport(
        target=Target.NEXT_INSTALMENT,
        meaning=MEANING[Target.NEXT_INSTALMENT],
        data=history.name,
        seed=seed,
        cut_off=date.fromordinal(split.cut_off).isoformat(),
        parts={
            name: PartReport(len(part.y), len(np.unique(part.borrower)), float(part.y.mean()))
            for name, part in parts.items()
        },
        test=evaluate(test.y, scores),
        importance=importances(classifier, test.X, test.y, names, seed),
        costs=cost_report((split.calibration.y, forest.predict(split.calibration.X)), (test.y, scores), policy),
        fairness=fairness(history.people, test.borrower, test.y, scores, policy.strategy),
        segments=segment_reports(segmenter, history.loans),
    )
    return TrainedModel(forest, segmenter, report)


def fit_calibrated(
    names: tuple[str, ...], train: tuple[Floats, Outcomes], calibration: tuple[Floats, Outcomes], seed: int
) -> tuple[RandomForestClassifier, Forest]:
    """A random forest fitted on rows and outcomes, with Platt's scaling fitted on others."""
    for part, (rows, y) in (("training", train), ("calibration", calibration)):
        _require_finite(names, rows)
        require_both_classes(part, y)
    classifier = RandomForestClassifier(
        _TREES, max_depth=_DEPTH, min_samples_leaf=_LEAF, max_features="sqrt", random_state=seed, n_jobs=-1
    ).fit(*train)
    raw = Forest.from_sklearn(classifier, names, Calibration(), "").raw(calibration[0])
    return classifier, Forest.from_sklearn(classifier, names, _calibrate(raw, calibration[1]), "")


def require_both_classes(part: str, y: Outcomes) -> None:
    """Raises `TrainingError` unless good and bad outcomes are among them."""
    if len(np.unique(y)) < 2:
        raise TrainingError(
            f"the {part} part has {len(y)} rows with {int(y.sum())} bad outcomes, but both good and bad ones are "
            "needed: use more borrowers or a longer history"
        )


def segment_reports(segmenter: Segmenter, loans: Floats) -> tuple[SegmentReport, ...]:
    """How the loans (m × `NOTEBOOK_FEATURES`) spread over the segments."""
    counts = np.bincount(segmenter.nearest(loans), minlength=len(segmenter.names))
    return tuple(
        SegmentReport(name, int(count), dict(zip(feature_names(Target.NOTEBOOK), centre.tolist(), strict=True)))
        for name, count, centre in zip(segmenter.names, counts, segmenter.typical(), strict=True)
    )


def _require_finite(names: tuple[str, ...], rows: Floats) -> None:
    finite = np.isfinite(rows).all(axis=0)
    if not finite.all():
        raise TrainingError(f"{names[int(np.argmin(finite))]}: has values that are not finite numbers")


def _calibrate(raw: Floats, y: Outcomes) -> Calibration:
    """Platt scaling on the log odds (Platt, 1999)."""
    fitted = LogisticRegression(C=1e6).fit(log_odds(raw)[:, None], y)
    return Calibration(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))
