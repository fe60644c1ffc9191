"""The incremental models: River's scaler and logistic regression, with a state that travels as JSON.

A recipe says which columns are made of the features and how they are learnt. All recipes are linear in their
columns, so any of them is scored in batches, restored exactly and explained feature by feature.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from river import linear_model, optim, preprocessing

from models.serving.linear import _CLIP, Columns, Recipe, checked_columns
from streams.contracts.snapshots import LinearSnapshot

_INTERCEPT_RATE = 0.02
_L2 = 1e-4


class OnlineModel:
    """Learns one label at a time. Standardised columns are clipped, so that one outlier cannot throw it off."""

    def __init__(self, recipe: Recipe, feature_names: Sequence[str]) -> None:
        self._columns = Columns(recipe, tuple(feature_names))
        self._scaler = preprocessing.StandardScaler()
        self._regression = linear_model.LogisticRegression(
            optimizer=_optimiser(recipe), intercept_lr=_INTERCEPT_RATE, l2=_L2
        )
        self.labels_seen = 0

    @classmethod
    def from_snapshot(cls, recipe: Recipe, feature_names: Sequence[str], snapshot: LinearSnapshot) -> OnlineModel:
        """A model that goes on exactly where the snapshot was taken. Raises `SnapshotError` if it does not fit."""
        model = cls(recipe, feature_names)
        names = checked_columns(recipe, feature_names, snapshot).names
        model._scaler.counts = Counter(dict.fromkeys(names, snapshot.labels_seen))
        model._scaler.means.update(zip(names, snapshot.means, strict=True))
        model._scaler.vars.update(zip(names, snapshot.variances, strict=True))
        regression = model._regression
        regression._weights.update(dict(zip(names, snapshot.weights, strict=True)))
        if recipe.adaptive:
            regression.optimizer.g2.update(zip(names, snapshot.squared_gradients, strict=True))
        regression.intercept = snapshot.intercept
        regression.optimizer.n_iterations = model.labels_seen = snapshot.labels_seen
        return model

    def predict(self, features: Sequence[float]) -> float:
        """The probability of the outcome, by what has been learnt so far."""
        probability: float = self._regression.predict_proba_one(self._standardised(self._named(features)))[True]
        return probability

    def learn(self, features: Sequence[float], outcome: bool) -> None:
        """Take in one label."""
        row = self._named(features)
        self._scaler.learn_one(row)
        self._regression.learn_one(self._standardised(row), outcome)
        self.labels_seen += 1

    def snapshot(self) -> LinearSnapshot:
        """The whole state as plain numbers."""
        names, regression = self._columns.names, self._regression
        gradients = regression.optimizer.g2 if self._columns.recipe.adaptive else None
        return LinearSnapshot(
            columns=names,
            labels_seen=self.labels_seen,
            means=tuple(float(self._scaler.means[name]) for name in names),
            variances=tuple(float(self._scaler.vars[name]) for name in names),
            weights=tuple(float(regression._weights.get(name, 0.0)) for name in names),
            intercept=float(regression.intercept),
            squared_gradients=() if gradients is None else tuple(float(gradients[name]) for name in names),
        )

    def _named(self, features: Sequence[float]) -> dict[str, float]:
        return dict(zip(self._columns.names, self._columns.of(np.array([features]))[0].tolist(), strict=True))

    def _standardised(self, row: dict[str, float]) -> dict[str, float]:
        return {name: min(max(value, -_CLIP), _CLIP) for name, value in self._scaler.transform_one(row).items()}


def _optimiser(recipe: Recipe) -> optim.base.Optimizer:
    """River's AdaGrad, or plain stochastic gradient descent."""
    return optim.AdaGrad(recipe.rate) if recipe.adaptive else optim.SGD(recipe.rate)
