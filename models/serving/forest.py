"""A trained random forest as plain arrays, scored in batches without pickle or scikit-learn, with reasons for a score.

Equal to scikit-learn's `predict_proba` before calibration. Calibration is Platt's sigmoid on the log odds,
p = 1 / (1 + exp(−(a·logit(raw) + b))): smooth, strictly increasing, two numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.serving.arrays import Floats

_EPSILON = 1e-4
MAX_DEPTH = 64
# Enough rows to spread numpy's cost per call, few enough that a level's data stay in the processor core's cache.
_ROWS_AT_ONCE = 128


def log_odds(probability: Floats) -> Floats:
    """log(p / (1 − p)), elementwise; p is clipped to stay 1e-4 away from 0 and 1."""
    clipped = np.clip(probability, _EPSILON, 1 - _EPSILON)
    odds: Floats = np.log(clipped) - np.log1p(-clipped)
    return odds


def sigmoid(odds: Floats) -> Floats:
    """The inverse of `log_odds`, elementwise."""
    probability: Floats = 1 / (1 + np.exp(-odds))
    return probability


def spread(
    credits: Floats, start: Floats, function: Callable[[Floats], Floats], slope: Callable[[Floats], Floats]
) -> Floats:
    """Share a function of a sum among the parts of the sum: n × parts, from `start` (n, or 1 for all rows).

    Aumann-Shapley: every part counts at the mean slope along the way, so that the shares add up to
    function(start + all parts) − function(start). `slope` is the function's derivative.
    """
    change = credits.sum(axis=1)
    flat = np.abs(change) < 1e-9
    total = function(start + change) - function(start)
    rate = np.where(flat, slope(start), total / np.where(flat, 1, change))
    shares: Floats = credits * rate[:, None]
    return shares


class ForestInputError(ValueError):
    """Features the forest cannot score; the text names the feature."""


@dataclass(frozen=True)
class Calibration:
    """Slope and intercept of the sigmoid on the raw score's log odds."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, raw: Floats) -> Floats:
        """Calibrated probabilities of raw scores, elementwise."""
        return sigmoid(self.slope * log_odds(raw) + self.intercept)

    def derivative(self, raw: Floats) -> Floats:
        """d apply / d raw, elementwise; 0 where the raw score is clipped."""
        calibrated = self.apply(raw)
        inside = (raw > _EPSILON) & (raw < 1 - _EPSILON)
        clipped = np.clip(raw, _EPSILON, 1 - _EPSILON)
        slope: Floats = inside * self.slope * calibrated * (1 - calibrated) / (clipped * (1 - clipped))
        return slope


class _Walkable(NamedTuple):
    """The nodes in the types in which numpy walks fastest.

    A threshold is rounded down to 32 bits: for 32-bit values `<=` then answers as with the 64-bit threshold. Every node
    takes two places, one after the other. `children` holds the right and the left child there, the other arrays repeat.
    """

    feature: NDArray[np.intp]
    threshold: NDArray[np.float32]
    children: NDArray[np.intp]
    probability: Floats


@dataclass(frozen=True, eq=False)
class Forest:
    """All trees' nodes in one run of arrays; `roots` says where each tree starts.

    A leaf is its own child on both sides, so that walking `depth` steps ends in the right leaf for every row.
    """

    feature_names: tuple[str, ...]
    roots: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: Floats
    probability: Floats
    calibration: Calibration
    version: str

    @classmethod
    def from_sklearn(
        cls, classifier: Any, feature_names: tuple[str, ...], calibration: Calibration, version: str
    ) -> Forest:
        """Flatten a fitted binary `RandomForestClassifier` whose classes are 0 and 1."""
        trees = [estimator.tree_ for estimator in classifier.estimators_]
        sizes = np.array([tree.node_count for tree in trees])
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        own = np.arange(sizes.sum())
        offsets = np.repeat(roots, sizes)
        left = np.concatenate([tree.children_left for tree in trees])
        right = np.concatenate([tree.children_right for tree in trees])
        is_leaf = left < 0
        values = np.concatenate([tree.value[:, 0, :] for tree in trees])
        return cls(
            feature_names=feature_names,
            roots=roots.astype(np.int32),
            left=np.where(is_leaf, own, left + offsets).astype(np.int32),
            right=np.where(is_leaf, own, right + offsets).astype(np.int32),
            feature=np.where(is_leaf, 0, np.concatenate([tree.feature for tree in trees])).astype(np.int32),
            threshold=np.concatenate([tree.threshold for tree in trees]),
            probability=values[:, 1] / values.sum(axis=1),
            calibration=calibration,
            version=version,
        )

    def raw(self, rows: Floats) -> Floats:
        """The mean of the trees' leaf probabilities, before calibration: n rows to n numbers."""
        return np.concatenate(
            [self._raw(rows[at : at + _ROWS_AT_ONCE]) for at in range(0, max(len(rows), 1), _ROWS_AT_ONCE)]
        )

    def predict(self, rows: Floats) -> Floats:
        """Calibrated probabilities of n rows of features. Raises `ForestInputError` on a value that is not finite."""
        self._check(rows)
        return self.calibration.apply(self.raw(rows))

    def contributions(self, rows: Floats) -> tuple[float, Floats]:
        """The base probability, and what each feature added to it in each row: (scalar, n × features).

        Along a row's path each split's change in node probability is credited to its feature (Saabas). The raw
        credits pass the calibration by `spread`, so that base plus a row's contributions is its calibrated
        probability.
        """
        self._check(rows)
        count, features = rows.shape
        credits = np.zeros(count * features)
        own = features * np.arange(count)
        tree = self._walkable
        for before, after in pairwise(self._walk(rows)):
            gains = tree.probability.take(after) - tree.probability.take(before)
            owners = tree.feature.take(before) + own
            credits += np.bincount(owners.ravel(), gains.ravel(), credits.size)
        credits = credits.reshape(count, features)
        credits /= len(self.roots)
        base = np.array([self.probability[self.roots].mean()])
        apply = self.calibration.apply
        return float(apply(base)[0]), spread(credits, base, apply, self.calibration.derivative)

    def _raw(self, rows: Floats) -> Floats:
        # Of the levels only the last is kept: all of them would not fit into the cache.
        (nodes,) = deque(self._walk(rows), maxlen=1)
        # Each row's trees side by side, so that a row's mean does not depend on how many rows are asked at once.
        mean: Floats = self._walkable.probability.take(nodes.T).mean(axis=1)
        return mean

    def _walk(self, rows: Floats) -> Iterator[NDArray[np.intp]]:
        """Send every row down every tree; yield each level's nodes (their first places, trees × n), from the roots on.

        Trees first: a tree's few nodes of a level, and a feature's values of all rows, then lie close in memory.
        """
        tree = self._walkable
        # scikit-learn compares features as 32-bit floats with 64-bit thresholds; so must we, to be equal to it.
        values = rows.T.astype(np.float32).ravel()
        own, first_value = np.arange(len(rows)), tree.feature * len(rows)
        nodes = np.repeat(2 * self.roots.astype(np.intp)[:, None], len(rows), axis=1)
        yield nodes
        for _ in range(self.depth):
            at = first_value.take(nodes)
            at += own
            goes_left = values.take(at) <= tree.threshold.take(nodes)
            nodes = tree.children.take(nodes + goes_left)
            yield nodes

    @cached_property
    def depth(self) -> int:
        """The longest way from a root to a leaf in steps; `MAX_DEPTH` + 1 if any is longer."""
        nodes = np.unique(self.roots)
        for steps in range(MAX_DEPTH + 1):
            inner = nodes[self.left[nodes] != nodes]
            if not inner.size:
                return steps
            nodes = np.unique(np.concatenate([self.left[inner], self.right[inner]]))
        return MAX_DEPTH + 1

    @cached_property
    def _walkable(self) -> _Walkable:
        rounded = self.threshold.astype(np.float32)
        below = np.nextafter(rounded, np.float32(-np.inf))
        return _Walkable(
            feature=np.repeat(self.feature.astype(np.intp), 2),
            threshold=np.repeat(np.where(rounded > self.threshold, below, rounded), 2),
            children=2 * np.stack([self.right, self.left], axis=1).ravel().astype(np.intp),
            probability=np.repeat(self.probability, 2),
        )

    def _check(self, rows: Floats) -> None:
        if rows.ndim != 2 or rows.shape[1] != len(self.feature_names):
            raise ForestInputError(f"expected rows of {len(self.feature_names)} features, got shape {rows.shape}")
        finite = np.isfinite(rows).all(axis=0)
        if not finite.all():
            raise ForestInputError(f"{self.feature_names[int(np.argmin(finite))]}: not a finite number")
