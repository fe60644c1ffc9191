"""The Faust worker: from the events topic through the engine to state, actions, labels and dead letters.

A batch is decided while the one before it is being written, and written once that one is done. Order of writes in a
batch, each awaited: dead letters, state rows with their outbox to the changelog and then to the local store, actions
and labels, the offsets. A crash between any two is repaired by what stands before it (docs/reliability.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

import faust
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError
from faust.types import TP

from monitoring import metrics
from streams.account.codec import BorrowerState, PartitionClock, decode_clock, decode_state
from streams.config.settings import Settings
from streams.contracts.records import Record
from streams.contracts.topics import ACCOUNTS_TABLE, ACTIONS, EVENTS, LABELS
from streams.decide import Batch, BatchResult, Engine
from streams.kafka.broker_watch import BrokerWatch
from streams.kafka.connection import Connection
from streams.kafka.continuity import Continuity, SkippedRecordsError, holds_records
from streams.kafka.dead_letters import dead_letter_message
from streams.kafka.group import committed_offsets
from streams.kafka.producer import Message, Sink
from streams.score import ModelSet
from streams.worker.gauges import PartitionGauges
from streams.worker.intake import Intake, IntakeTransport, Run
from streams.worker.model_feed import ModelFeed
from streams.worker.table import AccountsTable, Written, partition_of
from streams.worker.tuning import tune_garbage_collection

_log = logging.getLogger(__name__)
_TOPIC_OF = {"action": ACTIONS, "label": LABELS}
ROCKSDB_OPTIONS = {"driver": "rocksdict", "write_buffer_size": 16 << 20, "block_cache_size": 64 << 20}

_Row = TypeVar("_Row", BorrowerState, PartitionClock)


class OwnershipLostError(RuntimeError):
    """The partitions of a batch belong to another worker by now."""


class _Decided(NamedTuple):
    """A batch with its decisions, none of them written yet; `started` is a `perf_counter`."""

    runs: Sequence[Run]
    records: Sequence[Record]
    result: BatchResult
    started: float


class _StreamApp(faust.App):  # type: ignore[misc]
    """A Faust app whose consumer hands events over by `intake`, and which ends its work before Faust's services."""

    intake: Intake
    finish: Callable[[], Awaitable[None]]

    async def on_stop(self) -> None:
        await self.finish()
        await super().on_stop()


class Worker:
    """A Faust app with one table of borrowers and one task that works through the events; `app` is what runs."""

    def __init__(self, settings: Settings, book: ModelSet, partitions: int, watch: BrokerWatch) -> None:
        tune_garbage_collection()
        self._settings = settings
        self._feed = ModelFeed(settings.kafka, book)
        self._sink = Sink(settings.kafka)
        # Held while a batch is decided and for a reload, so that a rebalance waits for the batch in flight.
        self._lock = asyncio.Lock()
        # The batch that is being written while the next one is decided, and its rows by key.
        self._writing: asyncio.Task[None] | None = None
        self._ahead: Mapping[str, tuple[int, bytes]] = {}
        self.is_loaded = False
        # The next offset of each partition, applied and written; and what of that is not committed yet.
        self._done: dict[TP, int] = {}
        self._intake = Intake(4 * settings.batch_records)
        self.app = _faust_app(settings)
        self.app.intake, self.app.finish = self._intake, self._finish
        self._table: AccountsTable = self.app.Table(
            ACCOUNTS_TABLE,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            on_recover=self._on_recovered,
            # A batch looks up rows of all partitions at once; Faust's own guess is that of the current event.
            use_partitioner=True,
            options=dict(ROCKSDB_OPTIONS) if settings.store == "rocksdb" else None,
        )
        self._engine = Engine(settings.rules(), self._row)
        self._continuity = Continuity({})
        self._gauges = PartitionGauges(settings.kafka, lambda partition: self._continuity.next_offset(partition))
        self.app.topics.add(self.app.topic(EVENTS))
        self.app.on_partitions_revoked.connect(self._on_revoked)
        self.app.task(self._consume)
        self.app.task(self._commit_now_and_then)
        if settings.online:
            self.app.task(self._feed.run)
        self.app.task(self._gauges.follow_lag)
        self.app.task(watch.run)
        metrics.FOREST_INFO.labels(book.versions.forest).set(1)

    def run(self) -> None:
        """Work until a signal ends the process."""
        faust.Worker(
            self.app, loglevel=self._settings.log_level, redirect_stdouts=False, override_logging=False, quiet=True
        ).execute_from_commandline()

    def _row(self, key: str) -> bytes | None:
        """A row as it was last decided, be it in the table yet or not."""
        decided = self._ahead.get(key)
        return decided[1] if decided else self._table.row(key.encode())

    async def _on_recovered(self) -> None:
        try:
            await self._load()
        except Exception as error:
            # Faust does not look at what its callback raised, and would go on with an engine that knows nothing.
            _log.exception("the recovered state could not be loaded; the worker stops")
            await self.app.crash(error)
            raise

    async def _load(self) -> None:
        """Build the engine's memory from the recovered table, before any event is fetched."""
        # Faust resumes the events' partitions after this and only then seeks their committed offsets, with its fetcher
        # running: what is fetched in between is lost or never committed (faust-streaming issue 596). It sets the
        # flow going again itself, once it has sought.
        self.app.consumer.stop_flow()
        if self._settings.online:
            await self._feed.catch_up()
        async with self._lock:
            found = await committed_offsets(self._settings.kafka, self._settings.application, EVENTS)
            committed = {tp.partition: offset for tp, offset in found.items()}
            owned = {tp.partition for tp in self.app.assignor.assigned_actives() if tp.topic == EVENTS}
            try:
                await self.app.consumer.stand_at(committed, owned)
            except IllegalStateError:
                _log.info("the partitions are given away again; what comes instead is loaded anew")
                return
            self._intake.clear()
            self._ahead = {}
            self._continuity = Continuity(committed)
            self._gauges.begin()
            self._engine.load(
                self._owned(decode_state, self._table.states(), owned),
                self._owned(decode_clock, self._table.clocks(), owned),
                committed,
            )
            await self._restore_overtaken()
            self.is_loaded = True
            self._gauges.recovered(owned, self._engine)

    def _owned(self, decode: Callable[[bytes], _Row], rows: Iterable[bytes], owned: Set[int]) -> Iterator[_Row]:
        for row in rows:
            value = decode(row)
            if value.partition in owned:
                self._gauges.row(value.partition, row, None)
                yield value

    async def _restore_overtaken(self) -> None:
        """Put newer rows behind stale ones in the changelog, before compaction can leave only the stale one."""
        keys = sorted(self._table.overtaken)
        rows = [(key, row) for key in keys if (row := self._table.row(key)) is not None]
        if rows:
            _log.warning("%d stale rows of a suspended worker are put right in the changelog", len(rows))
        await self._write_rows([(partition_of(key, row), key, row) for key, row in rows])

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        await self._finish()
        self._done.clear()
        self._intake.clear()
        self._gauges.lost()

    async def _finish(self) -> None:
        """Let the batch in flight end, commit it, and take no other until the state is loaded anew."""
        async with self._lock:
            await self._written()
            self.is_loaded = False
            await self._commit()

    async def _commit_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._settings.commit_seconds)
            async with self._lock:
                await self._commit()

    async def _commit(self) -> None:
        done, self._done = self._done, {}
        if done:
            await self.app.consumer._commit(done)

    async def _consume(self) -> None:
        settings = self._settings
        while True:
            await self._intake.filled()
            started = time.monotonic()
            async with self._lock:
                await self._or_crash(self._take(self._intake.take(settings.batch_records)))
            # The first record after a pause is worked on at once; then others gather, so batches grow with the load.
            await asyncio.sleep(max(started + settings.batch_seconds - time.monotonic(), 0))

    async def _or_crash(self, work: Awaitable[None]) -> None:
        try:
            await work
        except OwnershipLostError as error:
            # Nothing was written or acknowledged. The engine has gone ahead of the table: it waits to be loaded anew.
            self.is_loaded = False
            self._gauges.lost()
            _log.warning("%s; the batch is left to them", error)
        except Exception as error:
            # A batch left half done must not be skipped: stop, and let the restart read it again. Until the process
            # has ended nothing else may be decided, by an engine that is ahead of its table.
            self.is_loaded = False
            _log.exception("the batch failed; the worker stops")
            await self.app.crash(error)

    def _is_current(self, run: Run) -> bool:
        """Fetched since the last rebalance; what is older is fetched again by its partition's owner."""
        current: bool = run.generation == self.app.consumer_generation_id
        return self.is_loaded and current

    async def _take(self, runs: Sequence[Run]) -> None:
        """Decide a batch while the one before it is being written, then begin to write it."""
        current = [run for run in runs if self._is_current(run)]
        if not current:
            return
        decided = await self._decide(current)
        await self._written()
        # Had that failed, the engine would have decided on rows that are not in the table.
        if self.is_loaded:
            self._ahead = decided.result.rows
            self._writing = asyncio.create_task(self._or_crash(self._write(decided)))

    async def _decide(self, runs: Sequence[Run]) -> _Decided:
        await self._refuse_holes(runs)
        started = time.perf_counter()
        self._table.read_ahead([(run.partition, [each.key for each in run.records if each.key]) for run in runs])
        records = [record for run in runs for record in run.records]
        batch = Batch(self._engine, records, self._feed.book, datetime.now(UTC))
        for _ in batch.steps():
            await asyncio.sleep(0)
        for key, (partition, row) in batch.result.rows.items():
            self._gauges.row(partition, row, self._row(key))
        return _Decided(runs, records, batch.result, started)

    async def _written(self) -> None:
        """Wait for the batch that is being written, if one is."""
        writing, self._writing = self._writing, None
        if writing:
            await writing

    async def _write(self, decided: _Decided) -> None:
        result = decided.result
        await self._sink.write([dead_letter_message(EVENTS, refused) for refused in result.dead_letters])
        rows = [(partition, key.encode(), row) for key, (partition, row) in result.rows.items()]
        await self._write_rows(rows, partial(self._assert_owner, decided.runs))
        await self._sink.write(
            [Message(_TOPIC_OF[sent.kind], None, sent.key, sent.value) for _, sent in result.outgoing]
        )
        self._done.update({TP(EVENTS, run.partition): run.records[-1].offset + 1 for run in decided.runs})
        metrics.BATCH_SECONDS.observe(time.perf_counter() - decided.started)
        self._show(decided.records, result)

    async def _write_rows(
        self, rows: Sequence[tuple[int, bytes, bytes]], allowed: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Rows (partition, key, value) to the changelog and, once they are safe there, to the local store."""
        changelog = self._table.changelog_topic_name
        written = await self._sink.write([Message(changelog, *row) for row in rows], allowed)
        self._table.write(
            [
                Written(TP(changelog, partition), partition, offset, key, row)
                for (partition, key, row), offset in zip(rows, written, strict=True)
            ]
        )

    async def _assert_owner(self, runs: Sequence[Run]) -> None:
        """Raise `OwnershipLostError` unless the group still counts on this worker for the batch's partitions.

        The coordinator is asked by a commit of the offsets before the batch, which it refuses to a worker that it
        has given up: one that was suspended past its session cannot know that otherwise.
        """
        firsts: dict[TP, int] = {}
        for run in runs:
            firsts.setdefault(TP(EVENTS, run.partition), run.records[0].offset)
        consumer = self.app.consumer
        if firsts.keys() <= consumer.assignment() and await consumer._commit(firsts) and self._is_current(runs[-1]):
            return
        raise OwnershipLostError(f"{sorted(tp.partition for tp in firsts)} are another worker's by now")

    async def _refuse_holes(self, runs: Sequence[Run]) -> None:
        for run in runs:
            tp = TopicPartition(EVENTS, run.partition)
            for hole in self._continuity.holes(run.partition, [record.offset for record in run.records]):
                if await holds_records(self._settings.kafka, tp, hole):
                    raise SkippedRecordsError(f"partition {tp.partition}: {hole} was skipped before {hole.stop}")

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


def _faust_app(settings: Settings) -> _StreamApp:
    # Faust makes its own folder, but not the one above it.
    settings.store_dir.parent.mkdir(parents=True, exist_ok=True)
    app = _StreamApp(
        settings.application,
        broker=_broker_urls(settings.kafka),
        broker_credentials=_credentials(settings.kafka),
        store=f"{settings.store}://",
        Table=AccountsTable,
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        # Topics are made, and their partitions checked, by `streams.topics`.
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=settings.commit_seconds,
        broker_session_timeout=settings.session_seconds,
        broker_heartbeat_interval=settings.session_seconds / 5,
        stream_wait_empty=False,
        table_standby_replicas=settings.standby_copies,
        datadir=settings.store_dir,
    )
    app.transport = IntakeTransport(app.conf.broker_consumer, app)
    return app


def _broker_urls(kafka: Connection) -> str:
    return ";".join(f"kafka://{server.strip()}" for server in kafka.bootstrap.split(","))


def _credentials(kafka: Connection) -> faust.auth.Credentials | None:
    """The connection's identity as Faust wants it; None without TLS and SASL."""
    if kafka.is_sasl:
        return faust.SASLCredentials(
            username=kafka.username,
            password=kafka.plain_password,
            ssl_context=kafka.ssl_context,
            mechanism=kafka.mechanism,
        )
    return faust.SSLCredentials(kafka.ssl_context) if kafka.ssl_context else None
