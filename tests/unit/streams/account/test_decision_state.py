"""Where a borrower is counted: one rule for all who count."""

import pytest

from streams.account.decision_state import DecisionState


@pytest.mark.parametrize(
    ("days_past_due", "has_open_loan", "bucket"),
    [(0, True, "current"), (1, True, "1-29"), (30, True, "30-59"), (90, True, "90+"), (40, False, "closed")],
)
def test_bucket_or_closed(days_past_due: int, has_open_loan: bool, bucket: str) -> None:
    assert DecisionState(days_past_due=days_past_due, has_open_loan=has_open_loan).bucket == bucket
