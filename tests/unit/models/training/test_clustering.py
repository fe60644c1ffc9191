"""The four segments: found where they are, named by their centres."""

from collections import Counter

import numpy as np
import pytest

from models.training.clustering import ClusteringError, fit_segments, name_segments, try_ks
from streams.contracts.vocabulary import Segment


def test_segments_are_named_by_their_centres_whatever_their_order() -> None:
    typical = np.array(
        [[3000, 9000, 350, 1, 2], [2200, 10000, 500, 8, 60], [3500, 150000, 1600, 3, 9], [7000, 9000, 350, 1, 1.0]]
    )
    scaled = (typical - typical.mean(axis=0)) / typical.std(axis=0)
    expected = [
        Segment.BALANCED,
        Segment.HIGH_LOAN_HIGHER_RISK,
        Segment.MODERATE_INCOME_HIGH_BURDEN,
        Segment.HIGH_INCOME_LOW_RISK,
    ]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        assert name_segments(scaled[order], typical[order]) == tuple(expected[at] for at in order)


@pytest.mark.slow
def test_segments_find_the_groups_that_are_there_and_say_when_there_are_none() -> None:
    draw = np.random.default_rng(2)
    centres = np.array(
        [[3000, 9000, 350, 1, 2], [2200, 10000, 500, 9, 60], [3500, 150000, 1600, 3, 9], [9000, 9000, 350, 1, 1]]
    )
    rows = np.repeat(centres, 50, axis=0) * draw.normal(1, 0.05, (200, 5))
    segmenter = fit_segments(rows, seed=1)
    assert Counter(segmenter.assign(rows)) == dict.fromkeys(Segment, 50)
    assert segmenter.assign(centres[1:2]) == [Segment.HIGH_LOAN_HIGHER_RISK]
    assert max(try_ks(rows, seed=1), key=lambda trial: trial.silhouette).k == 4
    with pytest.raises(ClusteringError, match="200 loans with 3 different profiles"):
        fit_segments(np.repeat(centres[:3], [100, 50, 50], axis=0), seed=1)
