"""The models in force, asked for many rows in one call: a single row through a forest costs as much as hundreds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.blend import combine
from models.contenders import RECIPES
from models.forest import Forest
from models.online import LinearScorer, SnapshotError
from streams.features import FEATURE_NAMES
from streams.messages import ModelSnapshot
from streams.watch import ModelVersions


@dataclass(frozen=True)
class Scores:
    """Probabilities of n rows: the forest's, the served online model's, their blend, and every contender's."""

    forest: NDArray[np.float64]
    online: NDArray[np.float64]
    blend: NDArray[np.float64]
    contenders: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class OnlineBook:
    """The online models as the learner last published them; `weight` is the champion's share of the blend."""

    scorers: Mapping[str, LinearScorer]
    champion: str
    weight: float
    labels_learnt: int

    @classmethod
    def from_snapshot(cls, snapshot: ModelSnapshot) -> OnlineBook:
        """The contenders this riskmon knows. Raises `SnapshotError` if they do not fit its recipes."""
        scorers = {
            recipe.name: LinearScorer.from_snapshot(recipe, FEATURE_NAMES, snapshot.contenders[recipe.name])
            for recipe in RECIPES
            if recipe.name in snapshot.contenders
        }
        if snapshot.champion not in scorers:
            raise SnapshotError(f"{snapshot.champion}: this riskmon has no such recipe")
        return cls(scorers, snapshot.champion, snapshot.online_weight, snapshot.labels_learnt)


@dataclass(frozen=True)
class ScoreBook:
    """The forest and, once the learner has published them, the newest online models.

    Without a forest every score is 0: so is history gathered from which the first forest is trained.
    """

    forest: Forest | None
    online: OnlineBook | None = None

    def with_snapshot(self, snapshot: ModelSnapshot) -> ScoreBook:
        """The same forest beside newer online models."""
        return replace(self, online=OnlineBook.from_snapshot(snapshot))

    @property
    def versions(self) -> ModelVersions:
        """What labels and actions say of the models that made them."""
        return ModelVersions(
            self.forest.version if self.forest else "none", self.online.labels_learnt if self.online else 0
        )

    @property
    def online_weight(self) -> float:
        """The online model's share of the blend, 0 while it takes no part."""
        return self.online.weight if self.online else 0.0

    def score(self, rows: Sequence[tuple[float, ...]]) -> Scores:
        """Score n rows of features. Without an online model its probability reads as the forest's."""
        features = np.array(rows, dtype=np.float64)
        forest = self.forest.predict(features) if self.forest else np.zeros(len(rows))
        if self.online is None:
            return Scores(forest, forest, forest, {})
        contenders = {name: scorer.predict(features) for name, scorer in self.online.scorers.items()}
        served = contenders[self.online.champion]
        return Scores(forest, served, combine(forest, served, self.online.weight), contenders)

    def contributions(self, features: tuple[float, ...]) -> tuple[float, list[float]]:
        """The base probability, and what each feature added to it in one row's blended score.

        Both models' own contributions, weighted as the blend weights the models; with the base they add up to it.
        """
        if self.forest is None:
            return 0.0, [0.0] * len(features)
        row = np.array([features], dtype=np.float64)
        base, parts = self.forest.contributions(row)
        if self.online is not None:
            weight = self.online.weight
            online_base, online_parts = self.online.scorers[self.online.champion].contributions(row)
            base, parts = (1 - weight) * base + weight * online_base, combine(parts, online_parts, weight)
        return base, [float(part) for part in parts[0]]
