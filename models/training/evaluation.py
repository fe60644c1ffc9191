"""How good scores are, judged on rows the model has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.inspection import permutation_importance
from sklearn.metrics import average_precision_score, brier_score_loss, confusion_matrix, log_loss, roc_auc_score

from models.serving.arrays import Floats, Outcomes

_GROUPS = 10
_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
_IMPORTANCE_ROWS = 2000
_IMPORTANCE_REPEATS = 5


@dataclass(frozen=True)
class CalibrationPoint:
    """Mean predicted probability of a tenth of the rows, and the share that came true in it."""

    predicted: float
    observed: float


@dataclass(frozen=True)
class LiftRow:
    """A tenth of the rows, from the highest scores down: its rate against the whole's, and the share of all caught."""

    tenth: int
    rows: int
    mean_score: float
    rate: float
    lift: float
    caught_so_far: float


@dataclass(frozen=True)
class Confusion:
    """What acting from a threshold on would have met; precision is None when nobody is acted upon."""

    threshold: float
    true_negative: int
    false_positive: int
    false_negative: int
    true_positive: int
    precision: float | None
    recall: float


@dataclass(frozen=True)
class Importance:
    """By how much AUC falls when the feature is shuffled: mean and standard deviation of some repeats."""

    feature: str
    auc_drop: float
    deviation: float


@dataclass(frozen=True)
class Evaluation:
    """Discrimination (AUC, PR-AUC, lift), calibration (Brier, log loss in nats, curve), confusion by threshold."""

    rows: int
    base_rate: float
    auc: float
    pr_auc: float
    brier: float
    log_loss: float
    calibration: tuple[CalibrationPoint, ...]
    lift: tuple[LiftRow, ...]
    confusion: tuple[Confusion, ...]


def evaluate(y: Outcomes, scores: Floats) -> Evaluation:
    """Judge n scores against n outcomes, 0 or 1, of which both occur."""
    seen, expected = calibration_curve(y, scores, n_bins=_GROUPS, strategy="quantile")
    return Evaluation(
        rows=len(y),
        base_rate=float(y.mean()),
        auc=float(roc_auc_score(y, scores)),
        pr_auc=float(average_precision_score(y, scores)),
        brier=float(brier_score_loss(y, scores)),
        log_loss=float(log_loss(y, scores)),
        calibration=tuple(CalibrationPoint(float(p), float(o)) for p, o in zip(expected, seen, strict=True)),
        lift=lift_table(y, scores),
        confusion=tuple(_confusion(y, scores, threshold) for threshold in _THRESHOLDS),
    )


def lift_table(y: Outcomes, scores: Floats) -> tuple[LiftRow, ...]:
    """Tenths by falling score. Equal scores stay in their rows' order."""
    tenths = [part for part in np.array_split(np.argsort(-scores, kind="stable"), _GROUPS) if len(part)]
    caught = np.cumsum([y[part].sum() for part in tenths]) / y.sum()
    return tuple(
        LiftRow(
            tenth=number,
            rows=len(part),
            mean_score=float(scores[part].mean()),
            rate=float(y[part].mean()),
            lift=float(y[part].mean() / y.mean()),
            caught_so_far=float(share),
        )
        for number, (part, share) in enumerate(zip(tenths, caught, strict=True), start=1)
    )


def importances(
    classifier: Any, rows: Floats, y: Outcomes, feature_names: tuple[str, ...], seed: int
) -> tuple[Importance, ...]:
    """Permutation importance (Breiman, 2001) by AUC, the largest first."""
    found = permutation_importance(
        classifier,
        rows,
        y,
        scoring="roc_auc",
        n_repeats=_IMPORTANCE_REPEATS,
        random_state=seed,
        max_samples=min(len(y), _IMPORTANCE_ROWS),
    )
    drops = zip(feature_names, found.importances_mean, found.importances_std, strict=True)
    return tuple(
        Importance(name, float(mean), float(deviation))
        for name, mean, deviation in sorted(drops, key=lambda drop: -drop[1])
    )


def _confusion(y: Outcomes, scores: Floats, threshold: float) -> Confusion:
    tn, fp, fn, tp = (int(count) for count in confusion_matrix(y, scores >= threshold).ravel())
    return Confusion(threshold, tn, fp, fn, tp, tp / (tp + fp) if tp + fp else None, tp / (tp + fn))
