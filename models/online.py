"""The incremental model: River's standard scaler and logistic regression, with a state that travels as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from river import linear_model, optim, preprocessing

Floats = NDArray[np.float64]
_LEARNING_RATE = 0.02
_L2 = 1e-4
_CLIP = 6.0


class LinearSnapshot(BaseModel):
    """All of the online model: enough to score with, and to go on learning as if nothing had been."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feature_names: tuple[str, ...]
    labels_seen: int = Field(ge=0)
    counts: tuple[float, ...]
    means: tuple[float, ...]
    variances: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    updates: int = Field(ge=0, description="Steps the optimiser has taken.")

    @model_validator(mode="after")
    def _same_length(self) -> LinearSnapshot:
        sizes = {len(part) for part in (self.counts, self.means, self.variances, self.weights)}
        if sizes != {len(self.feature_names)}:
            raise ValueError("counts, means, variances and weights need one entry a feature")
        return self

    def scorer(self) -> LinearScorer:
        """The snapshot as arrays for scoring many rows at once."""
        deviations = np.sqrt(np.array(self.variances))
        return LinearScorer(
            means=np.array(self.means),
            # River's scaler maps a feature that has never varied to 0.
            scales=np.divide(1.0, deviations, out=np.zeros_like(deviations), where=deviations > 0),
            weights=np.array(self.weights),
            intercept=self.intercept,
        )


@dataclass(frozen=True, eq=False)
class LinearScorer:
    """Scores n rows at once, equal to River's one-row prediction."""

    means: Floats
    scales: Floats
    weights: Floats
    intercept: float

    def predict(self, rows: Floats) -> Floats:
        """Probabilities of n rows of features."""
        standardised = np.clip((rows - self.means) * self.scales, -_CLIP, _CLIP)
        probabilities: Floats = 1 / (1 + np.exp(-(standardised @ self.weights + self.intercept)))
        return probabilities


class OnlineModel:
    """Learns one label at a time. Standardised features are clipped, so that one outlier cannot throw it off."""

    def __init__(self, feature_names: Sequence[str]) -> None:
        self._names = tuple(feature_names)
        self._scaler = preprocessing.StandardScaler()
        self._regression = linear_model.LogisticRegression(
            optimizer=optim.SGD(_LEARNING_RATE), intercept_lr=_LEARNING_RATE, l2=_L2
        )
        self.labels_seen = 0

    @classmethod
    def from_snapshot(cls, snapshot: LinearSnapshot) -> OnlineModel:
        """A model that goes on exactly where the snapshot was taken."""
        model = cls(snapshot.feature_names)
        names = snapshot.feature_names
        model._scaler.counts = Counter(dict(zip(names, map(int, snapshot.counts), strict=True)))
        model._scaler.means.update(zip(names, snapshot.means, strict=True))
        model._scaler.vars.update(zip(names, snapshot.variances, strict=True))
        model._regression._weights.update(dict(zip(names, snapshot.weights, strict=True)))
        model._regression.intercept = snapshot.intercept
        model._regression.optimizer.n_iterations = snapshot.updates
        model.labels_seen = snapshot.labels_seen
        return model

    def predict(self, features: Sequence[float]) -> float:
        """The probability of the outcome, by what has been learnt so far."""
        row = self._standardised(self._named(features))
        probability: float = self._regression.predict_proba_one(row)[True]
        return probability

    def learn(self, features: Sequence[float], outcome: bool) -> None:
        """Take in one label."""
        row = self._named(features)
        self._scaler.learn_one(row)
        self._regression.learn_one(self._standardised(row), outcome)
        self.labels_seen += 1

    def snapshot(self) -> LinearSnapshot:
        """The whole state as plain numbers."""
        names = self._names
        return LinearSnapshot(
            feature_names=names,
            labels_seen=self.labels_seen,
            counts=tuple(float(self._scaler.counts[name]) for name in names),
            means=tuple(float(self._scaler.means[name]) for name in names),
            variances=tuple(float(self._scaler.vars[name]) for name in names),
            weights=tuple(float(self._regression._weights.get(name, 0.0)) for name in names),
            intercept=float(self._regression.intercept),
            updates=self._regression.optimizer.n_iterations,
        )

    def _named(self, features: Sequence[float]) -> dict[str, float]:
        return dict(zip(self._names, features, strict=True))

    def _standardised(self, row: dict[str, float]) -> dict[str, float]:
        return {name: min(max(value, -_CLIP), _CLIP) for name, value in self._scaler.transform_one(row).items()}
