"""The learner's state on the compacted topic `riskmon.models`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streams.contracts.actions import Probability
from streams.contracts.base import Contract
from streams.contracts.labels import LabelOrder


class ModelSnapshot(Contract):
    """The learner's whole state after some labels; scorers use the newest one's contenders, champion and weight."""

    schema_version: Literal[2] = 2
    labels_learnt: int
    contenders: dict[str, LinearSnapshot]
    champion: str = Field(description="The contender that is served.")
    online_weight: Probability = Field(description="The champion's share of the blended score.")
    record: ScoreboardSnapshot
    loss_fed: dict[str, int] = Field(description="By model, the labels its loss drift detector has seen.")
    feature_drift: FeatureDriftSnapshot
    next_label_offset: int = Field(description="The labels offset from which the learner goes on.")
    learnt_to: dict[int, LabelOrder] = Field(
        description="Per events partition, the order of the last label learnt: what is not later is a repeat."
    )


class LinearSnapshot(BaseModel):
    """All of one online model: enough to score with, and to go on learning as if nothing had been."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: tuple[str, ...]
    labels_seen: int = Field(ge=0)
    means: tuple[float, ...]
    variances: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    squared_gradients: tuple[float, ...] = Field(description="AdaGrad's sums; empty for other optimisers.")


class ScoreboardSnapshot(BaseModel):
    """A record as JSON: outcomes (0 or 1), oldest first, and each model's predictions, null where it made none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcomes: tuple[int, ...] = ()
    predictions: dict[str, tuple[float | None, ...]] = {}

    @model_validator(mode="after")
    def _same_length(self) -> ScoreboardSnapshot:
        for name, predictions in self.predictions.items():
            if len(predictions) != len(self.outcomes):
                raise ValueError(f"predictions of {name}: not as many as outcomes")
        return self


class FeatureDriftSnapshot(BaseModel):
    """A feature monitor as JSON: the first rows, from which bins are made; then per feature the bins' inner edges,
    the reference's counts and those of the window in the making, with the day (ordinal) on which it began; last the
    indices of the last closed window."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: tuple[tuple[float, ...], ...] = ()
    edges: tuple[tuple[float, ...], ...] = ()
    reference: tuple[tuple[int, ...], ...] = ()
    window: tuple[tuple[int, ...], ...] = ()
    began: int = 0
    indices: tuple[float, ...] = ()
