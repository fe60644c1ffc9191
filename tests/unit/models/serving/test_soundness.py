"""What makes a forest or segments unfit for scoring. `test_store` damages each array in turn; here are the limits."""

from dataclasses import replace

import numpy as np
import pytest

from models.serving.forest import MAX_DEPTH, Calibration, Forest
from models.serving.soundness import MAX_TREES, forest_faults, segmenter_faults
from tests.support.forests import WIDTH, small_model

MODEL = small_model()


def chain(depth: int) -> Forest:
    """One tree in which every split's right side is a leaf, and the left side splits on."""
    inner = np.arange(0, 2 * depth, 2, dtype=np.int32)
    left, right = (np.arange(2 * depth + 1, dtype=np.int32) for _ in range(2))
    left[inner], right[inner] = inner + 2, inner + 1
    nodes = len(left)
    return Forest(
        feature_names=("a",),
        roots=np.zeros(1, np.int32),
        left=left,
        right=right,
        feature=np.zeros(nodes, np.int32),
        threshold=np.zeros(nodes),
        probability=np.linspace(0, 1, nodes),
        calibration=Calibration(),
        version="v",
    )


def test_a_trained_model_is_sound() -> None:
    assert list(forest_faults(MODEL.forest)) == []
    assert list(segmenter_faults(MODEL.segmenter, WIDTH)) == []


@pytest.mark.parametrize("depth", [0, 1, MAX_DEPTH])
def test_a_tree_of_the_greatest_depth_is_walked_to_its_end(depth: int) -> None:
    forest = chain(depth)
    assert list(forest_faults(forest)) == []
    assert forest.depth == depth
    assert forest.raw(np.array([[-1.0], [1.0]])).tolist() == [1.0, forest.probability[1]] if depth else [0.0, 0.0]


def test_a_deeper_tree_and_more_trees_are_refused() -> None:
    assert list(forest_faults(chain(MAX_DEPTH + 1))) == [f"a tree is more than {MAX_DEPTH} levels deep"]
    many = replace(MODEL.forest, roots=np.zeros(MAX_TREES + 1, np.int32))
    assert any("roots: has type" in fault for fault in forest_faults(many))


def test_nodes_that_two_parents_share_do_no_harm() -> None:
    """A lattice of 60 levels has 2^60 ways down, but 121 nodes: the check must not follow each way."""
    levels = 60
    left, right = (np.arange(2 * levels + 1, dtype=np.int32) for _ in range(2))
    for level in range(levels):
        for node in (2 * level, 2 * level - 1):
            if node >= 0:
                left[node], right[node] = 2 * level + 1, 2 * level + 2
    forest = replace(
        chain(levels), left=left, right=right, feature=np.zeros(len(left), np.int32), threshold=np.zeros(len(left))
    )
    assert list(forest_faults(forest)) == []
    assert forest.depth == levels


@pytest.mark.parametrize(
    ("slope", "intercept"), [(np.nan, 0.0), (1.0, np.nan), (np.inf, 0.0), (1.0, -np.inf), (0.0, 0.0)]
)
def test_a_calibration_that_does_not_rise_or_is_no_number_is_refused(slope: float, intercept: float) -> None:
    (fault,) = forest_faults(replace(MODEL.forest, calibration=Calibration(slope, intercept)))
    assert fault.startswith("calibration: ")
