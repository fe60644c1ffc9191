"""What riskmon writes to topics besides its state: actions, labels, alerts, and the learner's snapshots."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from models.drift import FeatureDriftSnapshot
from models.online import LinearSnapshot
from models.record import RecordSnapshot
from streams.events import Amount, Contract, Identifier, Utc
from streams.features import FEATURE_NAMES
from streams.state import Segment, Strategy

LabelOrder = tuple[int, str, str, int]
Probability = Annotated[float, Field(ge=0, le=1)]
# Far beyond what features can be: a number that would overflow an online model is no label.
FeatureValue = Annotated[float, Field(ge=-1e6, le=1e6)]


class Reason(Contract):
    """One cause of a score: the feature, its value, what it added to the blended score, and both in words."""

    feature: str
    value: float
    contribution: float
    text: str


class Action(Contract):
    """A borrower's strategy changed. `action_id` is the same however often the same input is processed."""

    schema_version: Literal[1] = 1
    action_id: Identifier
    borrower_id: Identifier
    loan_id: Identifier
    previous_strategy: Strategy
    strategy: Strategy
    score: Probability | None = Field(description="Blended score; null when no loan is open any more.")
    forest_score: Probability | None
    online_score: Probability | None = Field(description="Null while no online model takes part.")
    online_weight: Probability
    reasons: list[Reason] = Field(
        description="What raised the blended score most, or lowered it if the strategy was relaxed."
    )
    days_past_due: int
    delinquency_bucket: str
    missed_count: int
    arrears: Amount
    segment: Segment | None = Field(
        None, description="Kind of borrower, by the loan that decides the score; the last one known once none is open."
    )
    forest_version: str
    online_version: int = Field(description="Labels the online model had learnt from; 0 means none.")
    caused_by: Identifier = Field(description="The event_id of the event that changed the strategy.")
    event_type: str
    occurred_at: Utc = Field(description="When the causing event happened in the business.")
    published_at: Utc = Field(description="When the causing event was published to Kafka.")
    decided_at: Utc


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


class Alert(Contract):
    """A drift that the learner found. `alert_id` is the same if a crash makes it find the drift again."""

    schema_version: Literal[1] = 1
    alert_id: Identifier
    kind: Literal["loss_drift", "feature_drift"]
    subject: str = Field(description="The model whose log loss rose, or the feature whose distribution shifted.")
    before: float = Field(description="Mean log loss in nats before the change; 0 for a feature.")
    after: float = Field(description="Mean log loss since the change; a feature's population stability index.")
    due_date: date = Field(description="Due date of the instalment whose outcome completed the evidence.")
    label_offset: int
    text: str


class ModelSnapshot(Contract):
    """The learner's whole state after some labels; scorers use the newest one's contenders, champion and weight."""

    schema_version: Literal[2] = 2
    labels_learnt: int
    contenders: dict[str, LinearSnapshot]
    champion: str = Field(description="The contender that is served.")
    online_weight: Probability = Field(description="The champion's share of the blended score.")
    record: RecordSnapshot
    loss_fed: dict[str, int] = Field(description="By model, the labels its loss drift detector has seen.")
    feature_drift: FeatureDriftSnapshot
    next_label_offset: int = Field(description="The labels offset from which the learner goes on.")
    learnt_to: dict[int, LabelOrder] = Field(
        description="Per events partition, the order of the last label learnt: what is not later is a repeat."
    )
