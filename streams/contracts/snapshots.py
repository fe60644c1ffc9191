"""The learner's state on the compacted topic `riskmon.models`.

Every number is finite and bounded: a model that overflowed once would answer with no number ever after.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streams.contracts.actions import Probability
from streams.contracts.base import Contract
from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.labels import FeatureValue, LabelOrder

_MOST_COLUMNS = 1_024
_MOST_MODELS = 64
_MOST_JUDGED = 10_000
_MOST_ROWS = 20_000
_MOST_BINS = 1_000
_MOST_PARTITIONS = 10_000

Count = Annotated[int, Field(ge=0, le=2**53)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
# Beyond the products of two features, and their squares.
Mean = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
Variance = Annotated[float, Field(ge=0, le=1e30, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Row = Annotated[tuple[FeatureValue, ...], Field(max_length=_MOST_COLUMNS)]
Counts = Annotated[tuple[Count, ...], Field(max_length=_MOST_BINS)]
Edges = Annotated[tuple[Mean, ...], Field(max_length=_MOST_BINS)]
Index = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


class ModelSnapshot(Contract):
    """The learner's whole state after some labels; scorers use the newest one's contenders, champion and weight."""

    schema_version: Literal[2] = 2
    labels_learnt: Count
    contenders: dict[Name, LinearSnapshot] = Field(max_length=_MOST_MODELS)
    champion: Name = Field(description="The contender that is served.")
    online_weight: Probability = Field(description="The champion's share of the blended score.")
    record: ScoreboardSnapshot
    loss_fed: dict[Name, Count] = Field(
        max_length=_MOST_MODELS, description="By model, the labels its loss drift detector has seen."
    )
    feature_drift: FeatureDriftSnapshot
    next_label_offset: Count = Field(description="The labels offset from which the learner goes on.")
    learnt_to: dict[int, LabelOrder] = Field(
        max_length=_MOST_PARTITIONS,
        description="Per events partition, the order of the last label learnt: what is not later is a repeat.",
    )
    reference: ReferenceRows = Field(
        default_factory=lambda: ReferenceRows(),
        description="The newest labels' features, by which is judged how far a later snapshot moves the scores.",
    )


class ReferenceRows(BaseModel):
    """Rows of features, in the order of the labels, with the forest's score of each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: tuple[Annotated[Row, Field(min_length=len(FEATURE_NAMES), max_length=len(FEATURE_NAMES))], ...] = Field(
        (), max_length=_MOST_BINS
    )
    forest_scores: tuple[Probability, ...] = Field((), max_length=_MOST_BINS)

    @model_validator(mode="after")
    def _same_length(self) -> ReferenceRows:
        if len(self.rows) != len(self.forest_scores):
            raise ValueError("forest_scores: not as many as rows")
        return self


class LinearSnapshot(BaseModel):
    """All of one online model: enough to score with, and to go on learning as if nothing had been."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: tuple[Name, ...] = Field(max_length=_MOST_COLUMNS)
    labels_seen: Count
    means: tuple[Mean, ...] = Field(max_length=_MOST_COLUMNS)
    variances: tuple[Variance, ...] = Field(max_length=_MOST_COLUMNS)
    weights: tuple[Weight, ...] = Field(max_length=_MOST_COLUMNS)
    intercept: Weight
    squared_gradients: tuple[Variance, ...] = Field(
        max_length=_MOST_COLUMNS, description="AdaGrad's sums; empty for other optimisers."
    )


class ScoreboardSnapshot(BaseModel):
    """A record as JSON: outcomes (0 or 1), oldest first, and each model's predictions, null where it made none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcomes: tuple[Annotated[int, Field(ge=0, le=1)], ...] = Field((), max_length=_MOST_JUDGED)
    predictions: dict[Name, tuple[Probability | None, ...]] = Field({}, max_length=_MOST_MODELS)

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

    rows: tuple[Row, ...] = Field((), max_length=_MOST_ROWS)
    edges: tuple[Edges, ...] = Field((), max_length=_MOST_COLUMNS)
    reference: tuple[Counts, ...] = Field((), max_length=_MOST_COLUMNS)
    window: tuple[Counts, ...] = Field((), max_length=_MOST_COLUMNS)
    began: Count = 0
    indices: tuple[Index, ...] = Field((), max_length=_MOST_COLUMNS)

    @model_validator(mode="after")
    def _same_shape(self) -> FeatureDriftSnapshot:
        bins = [len(each) + 1 for each in self.edges]
        for name, counts in (("window", self.window), ("reference", self.reference or self.window)):
            if [len(each) for each in counts] != bins:
                raise ValueError(f"{name}: not as many bins as the edges make")
        if self.indices and len(self.indices) != len(bins):
            raise ValueError("indices: not as many as features")
        if len({len(row) for row in self.rows}) > 1:
            raise ValueError("rows: not all of one length")
        return self
