"""Training the forest: split by borrower and by time, calibrated on borrowers it has not seen, judged on others."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, confusion_matrix, log_loss, roc_auc_score

from models.forest import Calibration, Forest
from streams.watch import LABEL_DAYS

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
    """n scorings: features (n × f), outcome 0 or 1, borrower, day of scoring and due day (ordinals)."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    borrower: NDArray[np.str_]
    scored_on: NDArray[np.int64]
    due_on: NDArray[np.int64]

    def where(self, mask: NDArray[np.bool_]) -> TrainingSet:
        """The rows that the mask selects."""
        return TrainingSet(self.X[mask], self.y[mask], self.borrower[mask], self.scored_on[mask], self.due_on[mask])


@dataclass(frozen=True)
class Split:
    """Training, calibration and test rows; `cut_off` (ordinal) parts the past from the time they are judged in."""

    train: TrainingSet
    calibration: TrainingSet
    test: TrainingSet
    cut_off: int


@dataclass(frozen=True)
class TrainedForest:
    """The forest and the report of its training."""

    forest: Forest
    report: dict[str, Any]


def split_by_borrower_and_time(data: TrainingSet) -> Split:
    """No borrower stands in two parts; what trains was known before the cut-off, what judges was scored after it."""
    if len(data.y) == 0:
        raise TrainingError("no outcome is known yet: the history is too short")
    cut_off = int(np.quantile(data.scored_on, 1 - _LAST_SHARE))
    group = np.array([zlib.crc32(name.encode()) % _GROUPS for name in data.borrower])
    known = data.due_on + LABEL_DAYS <= cut_off
    held_out = np.isin(group, _CALIBRATION_GROUPS)
    judged = np.isin(group, _TEST_GROUPS)
    return Split(
        train=data.where(known & ~held_out & ~judged),
        calibration=data.where(known & held_out),
        test=data.where((data.scored_on > cut_off) & judged),
        cut_off=cut_off,
    )


def train_forest(data: TrainingSet, *, feature_names: tuple[str, ...], seed: int) -> TrainedForest:
    """Fit, calibrate and judge a forest. Raises `TrainingError` where a part is empty or has one class only."""
    if not np.isfinite(data.X).all():
        bad = feature_names[int(np.argmin(np.isfinite(data.X).all(axis=0)))]
        raise TrainingError(f"{bad}: has values that are not finite numbers")
    split = split_by_borrower_and_time(data)
    for name, part in (("training", split.train), ("calibration", split.calibration), ("test", split.test)):
        _require_both_classes(name, part)
    classifier = RandomForestClassifier(
        _TREES, max_depth=_DEPTH, min_samples_leaf=_LEAF, max_features="sqrt", random_state=seed, n_jobs=-1
    ).fit(split.train.X, split.train.y)
    bare = Forest.from_sklearn(classifier, feature_names, Calibration(), "")
    calibration = _calibrate(bare.raw(split.calibration.X), split.calibration.y)
    forest = Forest.from_sklearn(classifier, feature_names, calibration, "")
    return TrainedForest(forest, _report(forest, classifier, split, seed))


def _require_both_classes(name: str, part: TrainingSet) -> None:
    if len(np.unique(part.y)) < 2:
        raise TrainingError(
            f"the {name} part has {len(part.y)} rows with {int(part.y.sum())} that reached 30 days past due: "
            "both outcomes are needed; use more borrowers or a longer history"
        )


def _calibrate(raw: NDArray[np.float64], y: NDArray[np.int64]) -> Calibration:
    """Platt scaling on the log odds (Platt, 1999)."""
    clipped = np.clip(raw, 1e-4, 1 - 1e-4)
    odds = np.log(clipped / (1 - clipped))
    fitted = LogisticRegression(C=1e6).fit(odds[:, None], y)
    return Calibration(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))


def _report(forest: Forest, classifier: RandomForestClassifier, split: Split, seed: int) -> dict[str, Any]:
    test = split.test
    scores = forest.predict(test.X)
    importance = permutation_importance(
        classifier,
        test.X,
        test.y,
        scoring="roc_auc",
        n_repeats=3,
        random_state=seed,
        max_samples=min(len(test.y), 2000),
    )
    seen, expected = calibration_curve(test.y, scores, n_bins=10, strategy="quantile")
    return {
        "target": "the next instalment due reaches 30 days past due",
        "seed": seed,
        "cut_off": date.fromordinal(split.cut_off).isoformat(),
        "rows": {"train": len(split.train.y), "calibration": len(split.calibration.y), "test": len(test.y)},
        "base_rate": {"train": float(split.train.y.mean()), "test": float(test.y.mean())},
        "test": quality(test.y, scores),
        "calibration_curve": [
            {"predicted": float(p), "observed": float(o)} for p, o in zip(expected, seen, strict=True)
        ],
        "permutation_importance_auc": {
            name: float(drop)
            for name, drop in sorted(
                zip(forest.feature_names, importance.importances_mean, strict=True), key=lambda each: -each[1]
            )
        },
    }


def quality(y: NDArray[np.int64], scores: NDArray[np.float64]) -> dict[str, Any]:
    """Discrimination and calibration of scores: AUC, PR-AUC, Brier, log loss, lift, confusion at both thresholds."""
    top = np.argsort(-scores)[: max(len(scores) // 10, 1)]
    return {
        "auc": float(roc_auc_score(y, scores)),
        "pr_auc": float(average_precision_score(y, scores)),
        "brier": float(brier_score_loss(y, scores)),
        "log_loss": float(log_loss(y, scores)),
        "top_decile_lift": float(y[top].mean() / y.mean()),
        "confusion": {
            f"{threshold:.2f}": dict(
                zip(
                    ("true_negative", "false_positive", "false_negative", "true_positive"),
                    (int(each) for each in confusion_matrix(y, scores > threshold).ravel()),
                    strict=True,
                )
            )
            for threshold in (0.50, 0.75)
        },
    }
