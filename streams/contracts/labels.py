"""Outcomes of predictions, on the topic `riskmon.labels`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from streams.contracts.actions import Probability
from streams.contracts.base import Contract, Identifier
from streams.contracts.feature_names import FEATURE_NAMES

LabelOrder = tuple[int, str, str, int]


# Far beyond what features can be: a number that would overflow an online model is no label.
FeatureValue = Annotated[float, Field(ge=-1e6, le=1e6)]


class Label(Contract):
    """The outcome of one prediction: did the instalment reach 30 days past due?"""

    schema_version: Literal[1] = 1
    borrower_id: Identifier
    origin_partition: int
    origin_offset: int
    loan_id: Identifier
    instalment_number: int
    due_date: date
    scored_on: date
    features: Annotated[list[FeatureValue], Field(min_length=len(FEATURE_NAMES), max_length=len(FEATURE_NAMES))]
    forest_score: Probability
    online_score: Probability
    blended_score: Probability
    forest_version: str
    online_version: int
    online_scores: dict[str, Probability] = Field(
        {}, description="What every online model said at the time, served or not; empty while there was none."
    )
    outcome: bool

    @property
    def order(self) -> LabelOrder:
        """Labels of one events partition are sent in this order, also after a crash."""
        return self.origin_offset, self.borrower_id, self.loan_id, self.instalment_number
