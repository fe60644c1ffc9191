"""Checks that a forest and its segments can be scored: every row ends in a leaf, every score is a probability."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.serving.arrays import Floats
from models.serving.forest import MAX_DEPTH, Forest
from models.serving.segments import Segmenter

MAX_TREES = 2_000
_MAX_SLOPE = 1_000.0
_MAX_INTERCEPT = 1_000.0
_MAX_AMOUNT = 1e15
_MIN_SCALE = 1e-9
_MAX_FLOAT32 = float(np.finfo(np.float32).max)
_NODE_ARRAYS = {
    "left": np.int32,
    "right": np.int32,
    "feature": np.int32,
    "threshold": np.float64,
    "probability": np.float64,
}


def forest_faults(forest: Forest) -> Iterator[str]:
    """What makes the forest unfit for scoring, most basic first.

    Take the first fault only: a later check may rely on an earlier one. No fault means that scoring ends, and that
    its results are numbers from 0 to 1.
    """
    yield from _shape_faults(forest)
    yield from _walk_faults(forest)
    yield from _value_faults(forest)


def segmenter_faults(segmenter: Segmenter, features: int) -> Iterator[str]:
    """What makes the segments unfit for rows of that many features. Take the first fault only."""
    wanted = {"means": (features,), "scales": (features,), "centres": (len(segmenter.names), features)}
    for name, shape in wanted.items():
        values: Floats = getattr(segmenter, name)
        if values.dtype != np.float64 or values.shape != shape or not values.size:
            yield f"segments: {name} has shape {values.shape}, not {shape}"
        elif not _within(values, -_MAX_AMOUNT, _MAX_AMOUNT):
            yield f"segments: {name} has a value that is not a number within ±{_MAX_AMOUNT:g}"
    if len(set(segmenter.names)) < len(segmenter.names):
        yield "segments: names has a name twice"
    if segmenter.scales.min() < _MIN_SCALE:
        yield f"segments: scales has a value below {_MIN_SCALE:g}"


def _shape_faults(forest: Forest) -> Iterator[str]:
    nodes = forest.left.size
    for name, dtype in _NODE_ARRAYS.items():
        values: NDArray[np.generic] = getattr(forest, name)
        if values.dtype != dtype or values.shape != (nodes,) or not nodes:
            yield f"{name}: has type {values.dtype} and shape {values.shape}, not {np.dtype(dtype)} and ({nodes},)"
    roots = forest.roots
    if roots.dtype != np.int32 or roots.ndim != 1 or not 1 <= roots.size <= MAX_TREES:
        yield f"roots: has type {roots.dtype} and shape {roots.shape}, not int32 and 1 to {MAX_TREES} trees"


def _walk_faults(forest: Forest) -> Iterator[str]:
    nodes = forest.left.size
    if not _within(forest.roots, 0, nodes - 1):
        yield f"roots: points outside the {nodes} nodes"
    own = np.arange(nodes)
    leaf = forest.left == own
    if (leaf != (forest.right == own)).any():
        yield "left, right: a node is its own child on one side only"
    for name, children in (("left", forest.left), ("right", forest.right)):
        # Children stand behind their parents, so no walk comes back to where it was.
        if not _within(children, 0, nodes - 1) or (children[~leaf] <= own[~leaf]).any():
            yield f"{name}: a node's child is not among the nodes behind it"
    if not _within(forest.feature, 0, len(forest.feature_names) - 1):
        yield f"feature: points outside the {len(forest.feature_names)} features"
    if forest.depth > MAX_DEPTH:
        yield f"a tree is more than {MAX_DEPTH} levels deep"


def _value_faults(forest: Forest) -> Iterator[str]:
    if not _within(forest.threshold, -_MAX_FLOAT32, _MAX_FLOAT32):
        yield "threshold: has a value that is not a finite 32-bit number"
    if not _within(forest.probability, 0, 1):
        yield "probability: has a value that is not between 0 and 1"
    slope, intercept = forest.calibration.slope, forest.calibration.intercept
    if not 0 < slope <= _MAX_SLOPE:
        yield f"calibration: the slope is {slope:g}, not above 0 and up to {_MAX_SLOPE:g}"
    if not -_MAX_INTERCEPT <= intercept <= _MAX_INTERCEPT:
        yield f"calibration: the intercept is {intercept:g}, not within ±{_MAX_INTERCEPT:g}"


def _within(values: NDArray[np.generic], low: float, high: float) -> bool:
    """Whether all values lie between the bounds, which NaN does not."""
    return bool(((values >= low) & (values <= high)).all())  # type: ignore[operator]
