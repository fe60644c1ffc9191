"""The models in force, asked for many rows in one call: a single row through a forest costs as much as hundreds.

In: open loans with their rows, from `streams/features.py`. Out: each loan with its probabilities and segment, and the
contributions that explain a score. Next: `streams/strategy.py` decides by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from typing import NamedTuple

import numpy as np

from models.serving.arrays import Floats
from models.serving.blend import combine
from models.serving.contenders import RECIPES
from models.serving.forest import Forest
from models.serving.linear import LinearScorer, SnapshotError
from models.serving.segments import Segmenter
from streams.account.loan import Loan
from streams.account.standing import Position
from streams.contracts.feature_names import FEATURE_NAMES, NOTEBOOK_FEATURE_NAMES, columns
from streams.contracts.snapshots import ModelSnapshot, ReferenceRows
from streams.contracts.vocabulary import Segment
from streams.features import OpenLoan

_LEARNT_COLUMNS = columns(FEATURE_NAMES)
_NOTEBOOK_COLUMNS = columns(NOTEBOOK_FEATURE_NAMES)


class ModelVersions(NamedTuple):
    """Which models made a score: the forest's version, and the labels the online model had learnt (0: none)."""

    forest: str
    online: int


@dataclass(frozen=True)
class Scores:
    """Probabilities of n rows: the forest's, the served online model's, their blend, and every contender's.

    And the segment of each row.
    """

    forest: Floats
    online: Floats
    blend: Floats
    contenders: Mapping[str, Floats]
    segments: Sequence[Segment | None]


class LoanScore(NamedTuple):
    """A loan, its position and row (`ROW_NAMES`), the chances that its next instalment reaches 30 DPD, its segment."""

    loan: Loan
    now: Position
    row: tuple[float, ...]
    p_forest: float
    p_online: float
    p_blend: float
    contenders: tuple[str, ...]
    p_contenders: tuple[float, ...]
    segment: Segment | None


@dataclass(frozen=True)
class OnlineModels:
    """The online models as the learner last published them; `weight` is the champion's share of the blend."""

    scorers: Mapping[str, LinearScorer]
    champion: str
    weight: float
    labels_learnt: int

    @classmethod
    def from_snapshot(cls, snapshot: ModelSnapshot) -> OnlineModels:
        """The contenders this riskmon knows. Raises `SnapshotError` if they do not fit its recipes."""
        scorers = {
            recipe.name: LinearScorer.from_snapshot(recipe, FEATURE_NAMES, snapshot.contenders[recipe.name])
            for recipe in RECIPES
            if recipe.name in snapshot.contenders
        }
        if snapshot.champion not in scorers:
            raise SnapshotError(f"{snapshot.champion}: this riskmon has no such recipe")
        return cls(scorers, snapshot.champion, snapshot.online_weight, snapshot.labels_learnt)

    def blended(self, reference: ReferenceRows) -> Floats:
        """The blended scores of reference rows, by the forest scores that came with them."""
        served = self.scorers[self.champion].predict(np.array(reference.rows, dtype=np.float64))
        return combine(np.array(reference.forest_scores), served, self.weight)


@dataclass(frozen=True)
class ModelSet:
    """The forest with its segments and, once the learner has published them, the newest online models.

    Without a forest every score is 0 and no segment is known: so is history gathered to train the first forest.
    """

    forest: Forest | None
    segmenter: Segmenter | None = None
    online: OnlineModels | None = None

    def with_snapshot(self, snapshot: ModelSnapshot) -> ModelSet:
        """The same forest beside newer online models."""
        return replace(self, online=OnlineModels.from_snapshot(snapshot))

    def with_online(self, online: OnlineModels | None) -> ModelSet:
        """The same forest beside these online models, or alone."""
        return replace(self, online=online)

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
        """Score n rows in the order of `ROW_NAMES`. Without an online model its probability reads as the forest's."""
        table = np.array(rows, dtype=np.float64)
        forest = self.forest.predict(table[:, self._forest_columns]) if self.forest else np.zeros(len(rows))
        segments = self.segmenter.assign(table[:, _NOTEBOOK_COLUMNS]) if self.segmenter else [None] * len(rows)
        if self.online is None:
            return Scores(forest, forest, forest, {}, segments)
        learnt = table[:, _LEARNT_COLUMNS]
        contenders = {name: scorer.predict(learnt) for name, scorer in self.online.scorers.items()}
        served = contenders[self.online.champion]
        return Scores(forest, served, combine(forest, served, self.online.weight), contenders, segments)

    def score_loans(self, loans: Sequence[OpenLoan]) -> Iterator[LoanScore]:
        """Score loans in one call, in their order.

        A loan that was charged off has reached every outcome that the models foretell: it scores 1 by rule.
        """
        if not loans:
            return
        scores = self.score([each.row for each in loans])
        names = tuple(scores.contenders)
        contenders = zip(*(each.tolist() for each in scores.contenders.values()), strict=True) if names else repeat(())
        parts = zip(scores.forest.tolist(), scores.online.tolist(), scores.blend.tolist(), strict=True)
        for loan, p_models, p_contenders, segment in zip(loans, parts, contenders, scores.segments, strict=False):
            if loan.loan.charged_off:
                p_models = (*p_models[:2], 1.0)
            yield LoanScore(*loan, *p_models, names, p_contenders, segment)

    def contributions(self, rows: Sequence[tuple[float, ...]]) -> tuple[float, list[list[float]]]:
        """The base probability, and what each of `ROW_NAMES` added to it in each row's blended score.

        Both models' own contributions, weighted as the blend weights the models; with the base they add up to it.
        """
        asked = np.array(rows, dtype=np.float64)
        base = 0.0
        parts: Floats = np.zeros(asked.shape)
        if self.forest is not None:
            base, forest_parts = self.forest.contributions(asked[:, self._forest_columns])
            parts[:, self._forest_columns] = forest_parts
        if self.online is not None:
            weight, served = self.online.weight, self.online.scorers[self.online.champion]
            online_base, online_parts = served.contributions(asked[:, _LEARNT_COLUMNS])
            base = (1 - weight) * base + weight * online_base
            parts *= 1 - weight
            parts[:, _LEARNT_COLUMNS] += weight * online_parts
        told: list[list[float]] = parts.tolist()
        return base, told

    @cached_property
    def _forest_columns(self) -> list[int]:
        return columns(self.forest.feature_names) if self.forest else []
