"""Training data from simulated history, gathered by the stream's own engine: what is learnt is what will be asked."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator

import numpy as np

from models.training import TrainingSet
from producers.simulator import SimulationConfig, simulate
from streams.engine import Record, Rules
from streams.messages import Label
from streams.offline import number_offsets, run_offline
from streams.scoring import ScoreBook


def simulated_history(config: SimulationConfig, rules: Rules) -> TrainingSet:
    """Simulate, run the events through the engine unscored, and collect the labels it emits."""
    table: dict[str, bytes] = {}
    labels = [
        Label.model_validate_json(outgoing.value)
        for result in run_offline(_records(config), ScoreBook(None), rules, table)
        for _, outgoing in result.outgoing
        if outgoing.kind == "label"
    ]
    return training_set(labels)


def training_set(labels: list[Label]) -> TrainingSet:
    """Labels as the arrays that training wants: n rows of features with their outcomes and dates (ordinals)."""
    return TrainingSet(
        X=np.array([label.features for label in labels], dtype=np.float64),
        y=np.array([label.outcome for label in labels], dtype=np.int64),
        borrower=np.array([label.borrower_id for label in labels]),
        scored_on=np.array([label.scored_on.toordinal() for label in labels]),
        due_on=np.array([label.due_date.toordinal() for label in labels]),
    )


def _records(config: SimulationConfig) -> Iterator[Record]:
    messages = ((each.partition, each.key, each.event.to_json()) for each in simulate(config))
    return number_offsets(messages, lambda key: zlib.crc32(key) % config.partitions, round(time.time() * 1000))
