"""The same engine without Kafka: records through a dict as the table, for training and as the tests' reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

from streams.account.admission import Placement
from streams.contracts.records import Record
from streams.decide import BatchResult, Engine, Rules
from streams.score import ModelSet

_BATCH = 2000


def run_offline(
    records: Iterable[Record],
    model_set: ModelSet,
    rules: Rules,
    table: dict[str, bytes],
    place: Placement | None = None,
) -> Iterator[BatchResult]:
    """Process records batch by batch, keeping `table` current; yields what each batch decided."""
    engine = Engine(rules, table.get, place)
    source = iter(records)
    while batch := list(islice(source, _BATCH)):
        yield process_batch(engine, batch, model_set, table)


def process_batch(engine: Engine, batch: list[Record], model_set: ModelSet, table: dict[str, bytes]) -> BatchResult:
    """Decide one batch and put its rows into `table`."""
    result = engine.process(batch, model_set, datetime.now(UTC))
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
