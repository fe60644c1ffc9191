"""The same engine without Kafka: records through a dict as the table, for training and as the tests' reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import count, islice
from typing import NamedTuple

from streams.contracts.alerts import Alert
from streams.contracts.labels import Label
from streams.contracts.records import Record
from streams.decide import BatchResult, Engine, Rules
from streams.learner.state import Lesson
from streams.score import ScoreBook

_BATCH = 2000
_LEARNING_BATCH = 100


class Taught(NamedTuple):
    """One batch's decisions, the labels it sent, and the alerts they raised in the learner."""

    result: BatchResult
    labels: list[Label]
    alerts: list[Alert]


def run_offline(
    records: Iterable[Record], book: ScoreBook, rules: Rules, table: dict[str, bytes]
) -> Iterator[BatchResult]:
    """Process records batch by batch, keeping `table` current; yields what each batch decided."""
    engine = Engine(rules, table.get)
    source = iter(records)
    while batch := list(islice(source, _BATCH)):
        yield _process(engine, batch, book, table)


def run_with_learner(records: Iterable[Record], book: ScoreBook, rules: Rules, lesson: Lesson) -> Iterator[Taught]:
    """The same with a learner: each batch is scored by what the labels of the batches before it have taught.

    Batches are small, as they are on a live topic.
    """
    table: dict[str, bytes] = {}
    engine = Engine(rules, table.get)
    source = iter(records)
    offsets = count()
    while batch := list(islice(source, _LEARNING_BATCH)):
        result = _process(engine, batch, book, table)
        labels = [Label.model_validate_json(sent.value) for _, sent in result.outgoing if sent.kind == "label"]
        alerts = [alert for label in labels for alert in lesson.learn(label, next(offsets)).alerts]
        if labels:
            book = book.with_snapshot(lesson.snapshot())
        yield Taught(result, labels, alerts)


def _process(engine: Engine, batch: list[Record], book: ScoreBook, table: dict[str, bytes]) -> BatchResult:
    result = engine.process(batch, book, datetime.now(UTC))
    table.update({key: row for key, (_, row) in result.rows.items()})
    return result


def number_offsets(
    messages: Iterable[tuple[int | None, bytes | None, bytes]], partition_of: Callable[[bytes], int], timestamp_ms: int
) -> Iterator[Record]:
    """Give messages (partition or None, key, value) the offsets an otherwise empty topic would give them."""
    offsets: Counter[int] = Counter()
    for explicit, key, value in messages:
        partition = partition_of(key or b"") if explicit is None else explicit
        yield Record(partition, offsets[partition], key, value, timestamp_ms)
        offsets[partition] += 1
