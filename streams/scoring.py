"""The models in force, asked for many rows in one call: a single row through a forest costs as much as hundreds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.blend import Blend, combine, weights
from models.forest import Forest
from models.online import LinearScorer
from streams.messages import ModelSnapshot
from streams.watch import ModelVersions


@dataclass(frozen=True)
class Scores:
    """Probabilities of n rows: the forest's, the online model's, and their blend."""

    forest: NDArray[np.float64]
    online: NDArray[np.float64]
    blend: NDArray[np.float64]


@dataclass(frozen=True)
class ScoreBook:
    """The forest and, once the learner has published one, the newest online model with its blend.

    Without a forest every score is 0: so is history gathered from which the first forest is trained.
    """

    forest: Forest | None
    online: LinearScorer | None = None
    blend: Blend | None = None
    labels_learnt: int = 0

    def with_snapshot(self, snapshot: ModelSnapshot) -> ScoreBook:
        """The same forest beside a newer online model."""
        return ScoreBook(self.forest, snapshot.model.scorer(), snapshot.blend, snapshot.model.labels_seen)

    @property
    def versions(self) -> ModelVersions:
        """What labels and actions say of the models that made them."""
        return ModelVersions(self.forest.version if self.forest else "none", self.labels_learnt)

    @property
    def online_weight(self) -> float:
        """The online model's share of the blend, 0 while it takes no part."""
        return weights(self.blend)[1] if self.blend else 0.0

    def score(self, rows: Sequence[tuple[float, ...]]) -> Scores:
        """Score n rows of features. Without an online model its probability reads as the forest's."""
        features = np.array(rows, dtype=np.float64)
        forest = self.forest.predict(features) if self.forest else np.zeros(len(rows))
        if self.online is None or self.blend is None:
            return Scores(forest, forest, forest)
        online = self.online.predict(features)
        return Scores(forest, online, combine(forest, online, weights(self.blend)))

    def contributions(self, features: tuple[float, ...]) -> list[float]:
        """What each feature added to the forest's probability of one row."""
        if self.forest is None:
            return [0.0] * len(features)
        _, parts = self.forest.contributions(np.array([features], dtype=np.float64))
        return [float(part) for part in parts[0]]
