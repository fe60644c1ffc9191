"""Segments: the nearest centre, in any units, and the same after a way through JSON."""

import json

import numpy as np

from models.serving.segments import Segmenter
from streams.contracts.vocabulary import Segment

NAMES = (Segment.BALANCED, Segment.HIGH_INCOME_LOW_RISK)
SEGMENTER = Segmenter(
    means=np.array([1000.0, 5.0]),
    scales=np.array([500.0, 2.0]),
    centres=np.array([[0.0, 0.0], [2.0, -1.0]]),
    names=NAMES,
)


def test_a_row_belongs_to_the_nearest_centre_among_standardised_features() -> None:
    typical = SEGMENTER.typical()
    assert typical.tolist() == [[1000.0, 5.0], [2000.0, 3.0]]
    # In its own units the last row is nearer to the second centre; standardised it is not.
    rows = np.vstack([typical, [[1501.0, 6.0]]])
    assert SEGMENTER.assign(rows) == [*NAMES, Segment.BALANCED]
    assert SEGMENTER.nearest(rows).tolist() == [0, 1, 0]


def test_segments_come_back_from_json_as_they_were() -> None:
    back = Segmenter.from_json(json.loads(json.dumps(SEGMENTER.to_json())))
    assert back.to_json() == SEGMENTER.to_json()
    assert back.names == NAMES
