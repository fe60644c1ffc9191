"""What riskmon writes to topics besides its state: actions, labels, alerts, and the learner's snapshots."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from streams.contracts.base import Contract, Identifier, OpenAmount, Utc
from streams.contracts.vocabulary import Segment, Strategy

Probability = Annotated[float, Field(ge=0, le=1)]


class Reason(Contract):
    """One cause of a score: the feature, its value, what it added to the blended score, and both in words."""

    feature: str
    value: float
    contribution: float
    text: str


class Action(Contract):
    """A borrower's strategy changed. `action_id` is the same however often the same input is processed."""

    schema_version: Literal[1] = 1
    action_id: Identifier = Field(
        description="128 bits that no other action has, as hexadecimal digits. Actions decided before version 0.2 have"
        " ids of another form, partition-offset-checksum; they are sent as they stand and never get a second id."
    )
    borrower_id: Identifier
    loan_id: Identifier
    previous_strategy: Strategy
    strategy: Strategy
    score: Probability | None = Field(description="Blended score; null when no loan is open any more.")
    forest_score: Probability | None
    online_score: Probability | None = Field(description="Null while no online model takes part.")
    online_weight: Probability
    reasons: list[Reason] = Field(
        description="What raised the blended score most, or lowered it if the strategy was relaxed. Empty where a rule"
        " decided: no loan is open, or the deciding one was charged off."
    )
    days_past_due: int
    delinquency_bucket: str
    missed_count: int
    arrears: OpenAmount
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
