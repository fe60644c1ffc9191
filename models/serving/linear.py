"""Linear online models as they are served: numpy only, restored from a snapshot.

A recipe says which columns are made of the features and how they are learnt. All recipes are linear in their
columns, so any of them is scored in batches, restored exactly and explained feature by feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from models.serving.arrays import Floats
from models.serving.forest import sigmoid, spread
from streams.contracts.snapshots import LinearSnapshot

_CLIP = 6.0


class SnapshotError(ValueError):
    """A snapshot that does not fit the recipe it is to be restored by."""


@dataclass(frozen=True)
class Recipe:
    """One online model: its columns and its optimiser. Rates are River's learning rates, without unit.

    `use` limits the features (none named: all), `products` adds the products of each pair of these, `logarithms`
    takes log(1 + x) of all features first, 0 for one below 0. `eligible` is false for one that is judged but
    never served.
    """

    name: str
    rate: float
    adaptive: bool = True
    use: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    logarithms: bool = True
    eligible: bool = True


@dataclass(frozen=True)
class Columns:
    """The columns a recipe makes of rows of features."""

    recipe: Recipe
    feature_names: tuple[str, ...]

    @cached_property
    def sources(self) -> list[tuple[int, ...]]:
        """The features behind each column: one, or two for a product."""
        at = {name: number for number, name in enumerate(self.feature_names)}
        pairs = combinations_with_replacement(self.recipe.products, 2)
        return [(at[name],) for name in self.recipe.use or self.feature_names] + [(at[a], at[b]) for a, b in pairs]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the columns are called."""
        return tuple("*".join(self.feature_names[at] for at in source) for source in self.sources)

    @cached_property
    def credits(self) -> Floats:
        """columns × features: whose contribution a column is; a product counts half for each factor."""
        share = np.zeros((len(self.sources), len(self.feature_names)))
        for column, source in enumerate(self.sources):
            np.add.at(share[column], list(source), 1 / len(source))
        return share

    def of(self, rows: Floats) -> Floats:
        """n rows of features to n rows of columns."""
        # A payment may carry a value date some days ahead, so that it was made "before 0 days".
        base = np.log1p(np.maximum(rows, 0)) if self.recipe.logarithms else rows
        singles, firsts, seconds = self._factors
        return np.concatenate([base[:, singles], base[:, firsts] * base[:, seconds]], axis=1)

    @cached_property
    def _factors(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        singles = [source[0] for source in self.sources if len(source) == 1]
        pairs = [source for source in self.sources if len(source) == 2]
        first, second = ([pair[side] for pair in pairs] for side in (0, 1))
        return np.array(singles, np.int64), np.array(first, np.int64), np.array(second, np.int64)


@dataclass(frozen=True, eq=False)
class LinearScorer:
    """Scores n rows at once, equal to River's one-row prediction, and explains a row."""

    columns: Columns
    means: Floats
    scales: Floats
    weights: Floats
    intercept: float

    @classmethod
    def from_snapshot(cls, recipe: Recipe, feature_names: Sequence[str], snapshot: LinearSnapshot) -> LinearScorer:
        """The snapshot as arrays. Raises `SnapshotError` if it was made by another recipe."""
        deviations = np.sqrt(np.array(snapshot.variances))
        return cls(
            columns=checked_columns(recipe, feature_names, snapshot),
            means=np.array(snapshot.means),
            # River's scaler maps a column that has never varied to 0.
            scales=np.divide(1.0, deviations, out=np.zeros_like(deviations), where=deviations > 0),
            weights=np.array(snapshot.weights),
            intercept=snapshot.intercept,
        )

    def predict(self, rows: Floats) -> Floats:
        """Probabilities of n rows of features."""
        return sigmoid((self._standardised(rows) * self.weights).sum(axis=1) + self.intercept)

    def contributions(self, rows: Floats) -> tuple[float, Floats]:
        """The base probability, and what each feature added to it in each row: (scalar, n × features).

        The base is a borrower whose columns are all average. Log odds are a sum over the features, so `spread` gives
        each its share of the probability.
        """
        credits = np.einsum("ij,jk->ik", self._standardised(rows) * self.weights, self.columns.credits)
        start = np.array([self.intercept])
        return float(sigmoid(start)[0]), spread(credits, start, sigmoid, _sigmoid_slope)

    def _standardised(self, rows: Floats) -> Floats:
        # Row by row in memory, and summed without BLAS's @: else the order of summation, and with it a score's last
        # digits, would depend on how many rows are asked at once.
        columns = np.ascontiguousarray(self.columns.of(rows))
        return np.clip((columns - self.means) * self.scales, -_CLIP, _CLIP)


def checked_columns(recipe: Recipe, feature_names: Sequence[str], snapshot: LinearSnapshot) -> Columns:
    columns = Columns(recipe, tuple(feature_names))
    size = len(columns.names)
    gradients = size if recipe.adaptive else 0
    found = (len(snapshot.means), len(snapshot.variances), len(snapshot.weights), len(snapshot.squared_gradients))
    if snapshot.columns != columns.names or found != (size, size, size, gradients):
        raise SnapshotError(f"{recipe.name}: the snapshot was made of other columns than the recipe's")
    return columns


def _sigmoid_slope(odds: Floats) -> Floats:
    probability = sigmoid(odds)
    return probability * (1 - probability)
