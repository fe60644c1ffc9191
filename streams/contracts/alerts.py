"""Drifts that the learner found, on the topic `riskmon.alerts`."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from streams.contracts.base import Contract, Identifier


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
