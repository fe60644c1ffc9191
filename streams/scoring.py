"""The models in force, asked for many rows in one call: a single row through a forest costs as much as hundreds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.blend import Blend, combine, weights
from models.forest import Forest
from models.online import LinearScorer
from models.segments import Segmenter
from streams.features import FEATURE_NAMES, SEED_FEATURE_NAMES, columns
from streams.messages import ModelSnapshot
from streams.state import Segment
from streams.watch import ModelVersions

_LEARNT_COLUMNS = columns(FEATURE_NAMES)
_SEED_COLUMNS = columns(SEED_FEATURE_NAMES)


@dataclass(frozen=True)
class Scores:
    """Probabilities of n rows: the forest's, the online model's, and their blend; and the segment of each."""

    forest: NDArray[np.float64]
    online: NDArray[np.float64]
    blend: NDArray[np.float64]
    segments: Sequence[Segment | None]


@dataclass(frozen=True)
class ScoreBook:
    """The forest with its segments and, once the learner has published one, the newest online model with its blend.

    Without a forest every score is 0 and no segment is known: so is history gathered to train the first forest.
    """

    forest: Forest | None
    segmenter: Segmenter | None = None
    online: LinearScorer | None = None
    blend: Blend | None = None
    labels_learnt: int = 0

    def with_snapshot(self, snapshot: ModelSnapshot) -> ScoreBook:
        """The same forest beside a newer online model."""
        return replace(
            self, online=snapshot.model.scorer(), blend=snapshot.blend, labels_learnt=snapshot.model.labels_seen
        )

    @property
    def versions(self) -> ModelVersions:
        """What labels and actions say of the models that made them."""
        return ModelVersions(self.forest.version if self.forest else "none", self.labels_learnt)

    @property
    def online_weight(self) -> float:
        """The online model's share of the blend, 0 while it takes no part."""
        return weights(self.blend)[1] if self.blend else 0.0

    def score(self, rows: Sequence[tuple[float, ...]]) -> Scores:
        """Score n rows in the order of `ROW_NAMES`. Without an online model its probability reads as the forest's."""
        table = np.array(rows, dtype=np.float64)
        forest = self.forest.predict(table[:, self._forest_columns]) if self.forest else np.zeros(len(rows))
        segments = self.segmenter.assign(table[:, _SEED_COLUMNS]) if self.segmenter else [None] * len(rows)
        if self.online is None or self.blend is None:
            return Scores(forest, forest, forest, segments)
        online = self.online.predict(table[:, _LEARNT_COLUMNS])
        return Scores(forest, online, combine(forest, online, weights(self.blend)), segments)

    def contributions(self, row: tuple[float, ...]) -> list[float]:
        """What each of `ROW_NAMES` added to the forest's probability; 0 for what the forest does not use."""
        parts = np.zeros(len(row))
        if self.forest is not None:
            asked = np.array([row], dtype=np.float64)[:, self._forest_columns]
            parts[self._forest_columns] = self.forest.contributions(asked)[1][0]
        return [float(part) for part in parts]

    @cached_property
    def _forest_columns(self) -> list[int]:
        return columns(self.forest.feature_names) if self.forest else []
