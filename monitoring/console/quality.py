"""How good the models are, by the outcomes that became known."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from models.blend import log_loss, weights
from monitoring.console.series import Number, Series
from streams.messages import Label, LabelOrder, ModelSnapshot

MODELS = ("forest", "online", "blend")
WINDOW = 2_000
_EVERY = 50
_FEWEST = 100
_BINS = 8


class _Judged(NamedTuple):
    forest: float
    online: float | None
    blend: float
    outcome: bool


class Quality:
    """Measures over the newest `WINDOW` labels, prequential: each prediction was made before its outcome was known."""

    def __init__(self) -> None:
        self.labels = 0
        self.snapshot: ModelSnapshot | None = None
        self.series = Series(("labels", *(f"{model}_log_loss" for model in MODELS)))
        self.weights = Series(("time", "online_weight"))
        self._recent: deque[_Judged] = deque(maxlen=WINDOW)
        self._last: dict[int, LabelOrder] = {}

    def take_label(self, label: Label) -> None:
        """An outcome; a repeat, which the order gives away, changes nothing."""
        last = self._last.get(label.origin_partition)
        if last is not None and label.order <= last:
            return
        self._last[label.origin_partition] = label.order
        online = label.online_score if label.online_version else None
        self._recent.append(_Judged(label.forest_score, online, label.blended_score, label.outcome))
        self.labels += 1
        if self.labels % _EVERY == 0 and self.labels >= _FEWEST:
            self.series.add(self.labels, *(self._log_loss(model) for model in MODELS))

    def take_snapshot(self, snapshot: ModelSnapshot, written: float) -> None:
        """The learner's newest snapshot with its Kafka timestamp, seconds since 1970."""
        self.snapshot = snapshot
        self.weights.add(written, weights(snapshot.blend)[1])

    def measures(self) -> list[dict[str, Any]]:
        """Log loss, Brier score, ROC AUC and calibration of each model; None while there are too few outcomes."""
        return [{"model": model, **self._measured(*self._pairs(model))} for model in MODELS]

    def _log_loss(self, model: str) -> Number:
        scores, outcomes = self._pairs(model)
        if len(scores) < _FEWEST:
            return None
        return sum(map(log_loss, scores, outcomes)) / len(scores)

    def _pairs(self, model: str) -> tuple[list[float], list[bool]]:
        """The model's predictions and their outcomes, where it took part."""
        pairs = [(score, each.outcome) for each in self._recent if (score := getattr(each, model)) is not None]
        return [score for score, _ in pairs], [outcome for _, outcome in pairs]

    def _measured(self, scores: list[float], outcomes: list[bool]) -> dict[str, Any]:
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
        from sklearn.metrics import log_loss as mean_log_loss

        observed, predicted = calibration_curve(outcomes, scores, n_bins=_BINS, strategy="quantile")
        return told | {
            "log_loss": float(mean_log_loss(outcomes, scores)),
            "brier": float(brier_score_loss(outcomes, scores)),
            "auc": float(roc_auc_score(outcomes, scores)),
            "calibration": [
                {"predicted": float(p), "observed": float(o)} for p, o in zip(predicted, observed, strict=True)
            ],
        }
