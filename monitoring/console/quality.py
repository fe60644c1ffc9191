"""How good the models are, by the outcomes that became known."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np

from models.online.scoreboard import log_losses
from monitoring.console.series import Number, Series
from streams.contracts.labels import Label, LabelOrder
from streams.contracts.snapshots import ModelSnapshot

MODELS = ("forest", "online", "blend")
_WINDOW = 2_000
_EVERY = 50
_FEWEST = 100
_BINS = 8


class _Judged(NamedTuple):
    forest: float
    online: float | None
    blend: float
    outcome: bool


class Quality:
    """Measures over the newest `window` labels, prequential: each prediction was made before its outcome was known."""

    def __init__(self) -> None:
        self.labels = 0
        self.window = _WINDOW
        self.snapshot: ModelSnapshot | None = None
        self.series = Series(("labels", *(f"{model}_log_loss" for model in MODELS)))
        self.weights = Series(("time", "online_weight"))
        self._recent: deque[_Judged] = deque(maxlen=_WINDOW)
        self._last: dict[int, LabelOrder] = {}
        self._measured_at = -1
        self._measures: list[dict[str, Any]] = []

    def take_label(self, label: Label, number: int) -> None:
        """An outcome, the how-manieth of its topic; a repeat, which the order gives away, changes nothing."""
        last = self._last.get(label.origin_partition)
        if last is not None and label.order <= last:
            return
        self._last[label.origin_partition] = label.order
        online = label.online_score if label.online_version else None
        self._recent.append(_Judged(label.forest_score, online, label.blended_score, label.outcome))
        self.labels += 1
        if self.labels % _EVERY == 0 and self.labels >= _FEWEST:
            self.series.add(number, *(self._log_loss(model) for model in MODELS))

    def take_snapshot(self, snapshot: ModelSnapshot, written: float) -> None:
        """The learner's newest snapshot with its Kafka timestamp, seconds since 1970."""
        self.snapshot = snapshot
        self.weights.add(written, self.online_weight)

    def measures(self) -> list[dict[str, Any]]:
        """Log loss, Brier score, ROC AUC and calibration of each model; None while there are too few outcomes."""
        if self._measured_at != self.labels:
            self._measured_at = self.labels
            self._measures = [{"model": model, **_measured(*self._pairs(model))} for model in MODELS]
        return self._measures

    @property
    def online_weight(self) -> float:
        """The online model's share of the blend."""
        return self.snapshot.online_weight if self.snapshot else 0.0

    def coefficients(self) -> list[dict[str, Any]]:
        """The champion's weights of its standardised columns, the strongest first."""
        if self.snapshot is None:
            return []
        model = self.snapshot.contenders[self.snapshot.champion]
        pairs = sorted(zip(model.columns, model.weights, strict=True), key=lambda each: -abs(each[1]))
        return [{"feature": name, "weight": weight} for name, weight in pairs]

    def _log_loss(self, model: str) -> Number:
        scores, outcomes = self._pairs(model)
        if len(scores) < _FEWEST:
            return None
        return _mean_log_loss(scores, outcomes)

    def _pairs(self, model: str) -> tuple[list[float], list[bool]]:
        """The model's predictions and their outcomes, where it took part."""
        pairs = [(score, each.outcome) for each in self._recent if (score := getattr(each, model)) is not None]
        return [score for score, _ in pairs], [outcome for _, outcome in pairs]


def _mean_log_loss(scores: list[float], outcomes: list[bool]) -> float:
    return float(log_losses(np.array(scores), np.array(outcomes)).mean())


def _measured(scores: list[float], outcomes: list[bool]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "labels": len(outcomes),
        "reached": sum(outcomes),
        "log_loss": None,
        "brier": None,
        "auc": None,
        "calibration": [],
    }
    if len(outcomes) < _FEWEST or len(set(outcomes)) < 2:
        return told
    # scikit-learn is slow to import, and only the page of the models needs it.
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import brier_score_loss, roc_auc_score

    observed, predicted = calibration_curve(outcomes, scores, n_bins=_BINS, strategy="quantile")
    return told | {
        "log_loss": _mean_log_loss(scores, outcomes),
        "brier": float(brier_score_loss(outcomes, scores)),
        "auc": float(roc_auc_score(outcomes, scores)),
        "calibration": [
            {"predicted": float(p), "observed": float(o)} for p, o in zip(predicted, observed, strict=True)
        ],
    }
