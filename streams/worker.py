"""The Faust worker: from the events topic through the engine to state, actions, labels and dead letters.

Order of writes in a batch, each awaited: dead letters, state rows with their outbox to the changelog, actions and
labels, the local store, the offsets. A crash between any two is repaired by what stands before it
(docs/reliability.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence, Set
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import faust
from aiokafka import TopicPartition
from faust.types import TP, EventT, StreamT

from monitoring import metrics
from streams.accounts_table import AccountsTable, partition_of, written_row
from streams.broker_watch import BrokerWatch
from streams.continuity import Continuity, SkippedRecordsError, holds_records
from streams.dead_letter import dead_letter_message
from streams.engine import BatchResult, Engine, Record
from streams.gauges import PartitionGauges
from streams.model_feed import ModelFeed
from streams.progress import committed_offsets
from streams.scoring import ScoreBook
from streams.settings import Settings
from streams.sink import Message, Sink
from streams.state import BorrowerState, PartitionClock, decode_clock, decode_state
from streams.topics import ACCOUNTS_TABLE, ACTIONS, EVENTS, LABELS

_log = logging.getLogger(__name__)
_TOPIC_OF = {"action": ACTIONS, "label": LABELS}
_ROCKSDB_OPTIONS = {"driver": "rocksdict", "write_buffer_size": 16 << 20, "block_cache_size": 64 << 20}

_Row = TypeVar("_Row", BorrowerState, PartitionClock)


class OwnershipLostError(RuntimeError):
    """The partitions of a batch belong to another worker by now."""


class Worker:
    """A Faust app with one agent and one table of borrowers; `app` is what runs."""

    def __init__(self, settings: Settings, book: ScoreBook, partitions: int, watch: BrokerWatch) -> None:
        self._settings = settings
        self._feed = ModelFeed(settings.kafka, book)
        self._sink = Sink(settings.kafka)
        # Held for a batch and for a reload, so that a rebalance waits for the batch in flight.
        self._lock = asyncio.Lock()
        self.is_loaded = False
        self.app = _faust_app(settings)
        raw = faust.Schema(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        self._table: AccountsTable = self.app.Table(
            ACCOUNTS_TABLE,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            on_recover=self._on_recovered,
            # A batch looks up rows of all partitions at once; Faust's own guess is that of the current event.
            use_partitioner=True,
            options=dict(_ROCKSDB_OPTIONS) if settings.store == "rocksdb" else None,
        )
        self._engine = Engine(settings.rules(), self._row)
        self._continuity = Continuity({})
        self._gauges = PartitionGauges(settings.kafka, lambda partition: self._continuity.next_offset(partition))
        self.app.agent(self.app.topic(EVENTS, schema=raw), name="riskmon-events")(self._consume)
        self.app.on_partitions_revoked.connect(self._on_revoked)
        if settings.online:
            self.app.task(self._feed.run)
        self.app.task(self._gauges.follow_lag)
        self.app.task(watch.run)
        metrics.FOREST_INFO.labels(book.versions.forest).set(1)

    def _row(self, key: str) -> bytes | None:
        return self._table.row(key.encode())

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
        # Faust now resumes the events' partitions and only then seeks their committed offsets, with its fetcher
        # running: what is fetched in between is lost or never committed (faust-streaming issue 596). It sets the
        # flow going again itself, once it has sought.
        self.app.consumer.stop_flow()
        await self.app.consumer.wait_for_stopped_flow()
        if self._settings.online:
            await self._feed.catch_up()
        async with self._lock:
            committed = await committed_offsets(self._settings.kafka, self._settings.application, EVENTS)
            self._continuity = Continuity({tp.partition: offset for tp, offset in committed.items()})
            owned = {tp.partition for tp in self.app.assignor.assigned_actives() if tp.topic == EVENTS}
            self._gauges.begin()
            self._engine.load(
                self._owned(decode_state, self._table.states(), owned),
                self._owned(decode_clock, self._table.clocks(), owned),
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
        async with self._lock:
            self.is_loaded = False
            self._gauges.lost()

    async def _consume(self, stream: StreamT[bytes]) -> None:
        settings = self._settings
        async for events in stream.noack_take(settings.batch_records, within=settings.batch_seconds):
            try:
                async with self._lock:
                    await self._take([event for event in events if self._is_current(event)], stream)
            except Exception as error:
                # A batch left half done must not be skipped: stop, and let the restart read it again. Until the process
                # has ended nothing else may be decided, by an engine that is ahead of its table.
                self.is_loaded = False
                _log.exception("the batch failed; the worker stops")
                await self.app.crash(error)
                raise

    def _is_current(self, event: EventT[bytes]) -> bool:
        """Fetched since the last rebalance; what is older is fetched again by its partition's owner."""
        current: bool = event.message.generation_id == self.app.consumer_generation_id
        return self.is_loaded and current

    async def _take(self, events: Sequence[EventT[bytes]], stream: StreamT[bytes]) -> None:
        if not events:
            return
        try:
            await self._process(events, stream)
        except OwnershipLostError as error:
            # Nothing was written or acknowledged. The engine has gone ahead of the table: it waits to be loaded anew.
            self.is_loaded = False
            self._gauges.lost()
            _log.warning("%s; the batch is left to them", error)

    async def _process(self, events: Sequence[EventT[bytes]], stream: StreamT[bytes]) -> None:
        await self._refuse_holes(events)
        started = time.perf_counter()
        result = self._engine.process([_record(event) for event in events], self._feed.book, datetime.now(UTC))
        await self._sink.write([dead_letter_message(EVENTS, refused) for refused in result.dead_letters])
        rows = [(partition, key.encode(), row) for key, (partition, row) in result.rows.items()]
        await self._write_rows(rows, partial(self._assert_owner, events))
        await self._sink.write(
            [Message(_TOPIC_OF[sent.kind], None, sent.key, sent.value) for _, sent in result.outgoing]
        )
        for event in events:
            await stream.ack(event)
        metrics.BATCH_SECONDS.observe(time.perf_counter() - started)
        self._show(events, result)

    async def _write_rows(
        self, rows: Sequence[tuple[int, bytes, bytes]], allowed: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Rows (partition, key, value) to the changelog and, once they are safe there, to the local store."""
        changelog = self._table.changelog_topic_name
        written = await self._sink.write([Message(changelog, *row) for row in rows], allowed)
        for partition, key, row in rows:
            self._gauges.row(partition, row, self._table.row(key))
        self._table.apply_changelog_batch(
            [written_row(changelog, *row, offset) for row, offset in zip(rows, written, strict=True)]
        )

    async def _assert_owner(self, events: Sequence[EventT[bytes]]) -> None:
        """Raise `OwnershipLostError` unless the group still counts on this worker for the batch's partitions.

        The coordinator is asked by a commit of the offsets before the batch, which it refuses to a worker that it
        has given up: one that was suspended past its session cannot know that otherwise.
        """
        firsts: dict[TP, int] = {}
        for event in events:
            firsts.setdefault(event.message.tp, event.message.offset)
        consumer = self.app.consumer
        if firsts.keys() <= consumer.assignment() and await consumer._commit(firsts) and self._is_current(events[-1]):
            return
        raise OwnershipLostError(f"{sorted(tp.partition for tp in firsts)} are another worker's by now")

    async def _refuse_holes(self, events: Sequence[EventT[bytes]]) -> None:
        for event in events:
            message = event.message
            hole = self._continuity.hole_before(message.partition, message.offset)
            tp = TopicPartition(EVENTS, message.partition)
            if hole and await holds_records(self._settings.kafka, tp, hole):
                raise SkippedRecordsError(f"partition {tp.partition}: {hole} was skipped before {message.offset}")

    def _show(self, events: Sequence[EventT[bytes]], result: BatchResult) -> None:
        now = time.time()
        for event in events:
            metrics.LATENCY_SECONDS.observe(max(now - event.message.timestamp, 0))
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


def _faust_app(settings: Settings) -> faust.App:
    # Faust makes its own folder, but not the one above it.
    settings.store_dir.parent.mkdir(parents=True, exist_ok=True)
    return faust.App(
        settings.application,
        broker=settings.kafka.faust_broker,
        broker_credentials=settings.kafka.faust_credentials(),
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
        # A batch that another worker takes over is never acknowledged here: waiting for that would never end.
        stream_wait_empty=False,
        stream_buffer_maxsize=4 * settings.batch_records,
        datadir=settings.store_dir,
    )


def _record(event: EventT[bytes]) -> Record:
    message = event.message
    return Record(message.partition, message.offset, message.key, message.value, round(message.timestamp * 1000))
