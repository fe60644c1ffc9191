"""The engine and the learner without Kafka: each batch is scored by what the labels before it have taught."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import NamedTuple

from streams.contracts.alerts import Alert
from streams.contracts.labels import Label
from streams.contracts.records import Record
from streams.decide import BatchResult, Engine, Rules
from streams.history.offline import process_batch
from streams.learner.state import LearnerState
from streams.score import ModelSet

_LEARNING_BATCH = 100


class Taught(NamedTuple):
    """One batch's decisions, the labels it sent, and the alerts they raised in the learner."""

    result: BatchResult
    labels: list[Label]
    alerts: list[Alert]


def run_with_learner(
    records: Iterable[Record], model_set: ModelSet, rules: Rules, state: LearnerState
) -> Iterator[Taught]:
    """The same with a learner: each batch is scored by what the labels of the batches before it have taught.

    Batches are small, as they are on a live topic.
    """
    table: dict[str, bytes] = {}
    engine = Engine(rules, table.get)
    source = iter(records)
    offsets = count()
    while batch := list(islice(source, _LEARNING_BATCH)):
        result = process_batch(engine, batch, model_set, table)
        labels = [Label.model_validate_json(sent.value) for _, sent in result.outgoing if sent.kind == "label"]
        alerts = [alert for label in labels for alert in state.learn(label, next(offsets)).alerts]
        if labels:
            model_set = model_set.with_snapshot(state.snapshot())
        yield Taught(result, labels, alerts)
