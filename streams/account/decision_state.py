"""What was decided about a borrower: strategy, last score, segment, and predictions whose outcome is open."""

from __future__ import annotations

import msgspec

from streams.account.loan import Value
from streams.account.standing import delinquency_bucket
from streams.contracts.vocabulary import CLOSED, Segment, Strategy


class Prediction(Value, frozen=True, array_like=True):
    """The features and predictions of one scoring, kept until its outcome is known."""

    loan_id: str
    instalment: int
    due_day: int
    scored_day: int
    priority: int
    features: tuple[float, ...]
    p_forest: float
    p_online: float
    p_blend: float
    forest_version: str
    online_version: int
    p_contenders: dict[str, float] = msgspec.field(default_factory=dict)


class DecisionState(Value, frozen=True, array_like=True):
    """What riskmon thinks of a borrower: strategy in force, last score and segment, open predictions.

    `withheld_from` is the strategy that was told last, while a hold withholds the action that would tell of another.
    """

    strategy: Strategy = Strategy.REMINDER
    score: float = 0.0
    pending: tuple[Prediction, ...] = ()
    days_past_due: int = 0
    arrears: int = 0
    has_open_loan: bool = True
    segment: Segment | None = None
    withheld_from: Strategy | None = None

    @property
    def bucket(self) -> str:
        """Where the borrower is counted: the delinquency bucket, or closed without an open loan."""
        return delinquency_bucket(self.days_past_due) if self.has_open_loan else CLOSED
