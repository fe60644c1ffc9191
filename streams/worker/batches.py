"""What the worker does with each batch: look for holes, decide by the engine, write, and show it in the metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from monitoring import metrics
from streams.config.settings import Settings
from streams.consume import Decided, Run
from streams.contracts.records import Record
from streams.decide import Batch, BatchResult, Engine
from streams.worker.events_topic import EventsTopic
from streams.worker.gauges import PartitionGauges
from streams.worker.model_feed import ModelFeed
from streams.worker.table import AccountsTable
from streams.write import OwnershipLostError, Writer

_log = logging.getLogger(__name__)


class BatchWork:
    """The steps of a batch, for `BatchLoop`."""

    def __init__(
        self,
        settings: Settings,
        app: Any,
        table: AccountsTable,
        engine: Engine,
        feed: ModelFeed,
        gauges: PartitionGauges,
        events: EventsTopic,
        writer: Writer,
        lost: Callable[[OwnershipLostError], Awaitable[None]],
        crash: Callable[[Exception], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._app = app
        self._table = table
        self._engine = engine
        self._feed = feed
        self._gauges = gauges
        self._events = events
        self._writer = writer
        self._lost = lost
        self._crash = crash

    def is_current(self, run: Run) -> bool:
        """Whether the run was fetched since the last rebalance."""
        current: bool = run.generation == self._app.consumer_generation_id
        return current

    async def decide(self, runs: Sequence[Run]) -> Decided:
        """Decide a batch by the engine, a few milliseconds at a time."""
        for run in runs:
            await self._events.passed(run)
        started = time.perf_counter()
        self._table.read_ahead([(run.partition, [each.key for each in run.records if each.key]) for run in runs])
        records = [record for run in runs for record in run.records]
        batch = Batch(self._engine, records, self._feed.model_set, datetime.now(UTC))
        for _ in batch.steps():
            await asyncio.sleep(0)
        for key, (partition, row) in batch.result.rows.items():
            self._gauges.row(partition, row, self._engine.lookup(key))
        return Decided(runs, records, batch.result, started)

    async def write(self, decided: Decided) -> None:
        """Make a batch durable, and tell of it."""
        await self._writer.write(decided.result, decided.spans())
        metrics.BATCH_SECONDS.observe(time.perf_counter() - decided.started)
        self._show(decided.records, decided.result)

    async def lost(self, decided: Decided, error: OwnershipLostError) -> None:
        """Nothing of the batch was acknowledged: it is read again, here or by another owner."""
        _log.warning("%s; the batch of %d records is dropped", error, len(decided.records))
        await self._lost(error)

    async def failed(self, error: Exception) -> None:
        """Stop the worker."""
        _log.error("the batch failed; the worker stops", exc_info=error)
        await self._crash(error)

    def _show(self, records: Sequence[Record], result: BatchResult) -> None:
        now = time.time()
        for record in records:
            metrics.LATENCY_SECONDS.observe(max(now - record.timestamp_ms / 1000, 0))
        for kind, count in result.applied.items():
            metrics.EVENTS.labels(kind).inc(count)
        for refused in result.dead_letters:
            metrics.DEAD_LETTERS.labels(refused.reason).inc()
        for action in result.actions:
            metrics.ACTIONS.labels(action.previous_strategy.value, action.strategy.value).inc()
            metrics.ACTION_LATENCY_SECONDS.observe(max(now - action.published_at.timestamp(), 0))
        for (from_bucket, to_bucket), count in result.rolls.items():
            metrics.ROLLS.labels(from_bucket, to_bucket).inc(count)
        metrics.DUPLICATES.inc(result.duplicates)
        metrics.REDELIVERED.inc(result.redelivered)
        metrics.LABELS.inc(result.labels)
        metrics.SCORES.inc(result.scored)
        self._gauges.show(self._engine)
