"""The contract of labels."""

import pytest
from pydantic import ValidationError

from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.labels import Label

LABEL: dict[str, object] = {
    "borrower_id": "B1",
    "origin_partition": 0,
    "origin_offset": 7,
    "loan_id": "L1",
    "instalment_number": 2,
    "due_date": "2025-03-10",
    "scored_on": "2025-02-20",
    "features": [0.0] * len(FEATURE_NAMES),
    "forest_score": 0.5,
    "online_score": 0.5,
    "blended_score": 0.5,
    "forest_version": "f",
    "online_version": 0,
    "outcome": True,
}


def test_labels_are_ordered_by_where_they_came_from() -> None:
    assert Label.model_validate(LABEL).order == (7, "B1", "L1", 2)


@pytest.mark.parametrize(
    "change",
    [{"features": [0.0]}, {"features": [float("inf")] * len(FEATURE_NAMES)}, {"blended_score": float("nan")}],
)
def test_a_number_that_would_spoil_a_model_is_no_label(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        Label.model_validate(LABEL | change)
