"""The Faust worker: from the events topic through the engine to state, actions, labels and dead letters.

Order of writes in a batch, each awaited: dead letters, state rows with their outbox to the changelog, actions and
labels, the table in memory, the offsets. A crash between any two is repaired by what stands before it
(docs/reliability.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import faust
from aiokafka import TopicPartition
from faust.types import EventT, StreamT

from monitoring import metrics
from streams.continuity import Continuity, SkippedRecordsError, holds_records
from streams.dead_letter import dead_letter_message
from streams.engine import CLOCK_PREFIX, BatchResult, Engine, Record
from streams.model_feed import ModelFeed
from streams.progress import committed_offsets
from streams.scoring import ScoreBook
from streams.settings import Settings
from streams.sink import Message, Sink
from streams.state import decode_clock, decode_state
from streams.topics import ACCOUNTS_TABLE, ACTIONS, EVENTS, LABELS

_log = logging.getLogger(__name__)
_TOPIC_OF = {"action": ACTIONS, "label": LABELS}


class Worker:
    """A Faust app with one agent and one table of borrowers; `app` is what runs."""

    def __init__(self, settings: Settings, book: ScoreBook, partitions: int) -> None:
        self._settings = settings
        self._feed = ModelFeed(settings.bootstrap, book)
        self._sink = Sink(settings.bootstrap)
        # Held for a batch and for a reload, so that a rebalance waits for the batch in flight.
        self._lock = asyncio.Lock()
        self.app = _faust_app(settings)
        raw = faust.Schema(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        self._table = self.app.Table(
            ACCOUNTS_TABLE,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            on_recover=self._on_recovered,
        )
        self._engine = Engine(settings.rules(), self._row)
        self._continuity = Continuity({})
        self.app.agent(self.app.topic(EVENTS, schema=raw), name="riskmon-events")(self._consume)
        self.app.on_partitions_revoked.connect(self._finish_batch)
        if settings.online:
            self.app.task(self._feed.run)
        metrics.FOREST_INFO.labels(book.versions.forest).set(1)

    def _row(self, key: str) -> bytes | None:
        row: bytes | None = self._table.data.get(key.encode())
        return row

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
        started = time.perf_counter()
        # Faust now resumes the events' partitions and only then seeks their committed offsets, with its fetcher
        # running: what is fetched in between is lost or never committed (faust-streaming issue 596). It sets the
        # flow going again itself, once it has sought.
        self.app.consumer.stop_flow()
        await self.app.consumer.wait_for_stopped_flow()
        async with self._lock:
            committed = await committed_offsets(self._settings.bootstrap, self._settings.application, EVENTS)
            self._continuity = Continuity({tp.partition: offset for tp, offset in committed.items()})
            owned = {tp.partition for tp in self.app.assignor.assigned_actives() if tp.topic == EVENTS}
            clocks, states = [], []
            for key, row in self._table.data.items():
                if key.startswith(CLOCK_PREFIX.encode()):
                    clocks.append(decode_clock(row))
                else:
                    states.append(decode_state(row))
            self._engine.load(
                (state for state in states if state.partition in owned),
                (clock for clock in clocks if clock.partition in owned),
            )
            metrics.LAG.clear()
            self._show_portfolio()
        metrics.RECOVERY_SECONDS.set(time.perf_counter() - started)

    async def _finish_batch(self, *_: Any, **__: Any) -> None:
        async with self._lock:
            pass

    async def _consume(self, stream: StreamT[bytes]) -> None:
        settings = self._settings
        async for events in stream.noack_take(settings.batch_records, within=settings.batch_seconds):
            try:
                async with self._lock:
                    await self._process([event for event in events if self._is_current(event)], stream)
            except Exception as error:
                # A batch left half done must not be skipped: stop, and let the restart read it again.
                _log.exception("the batch failed; the worker stops")
                await self.app.crash(error)
                raise

    def _is_current(self, event: EventT[bytes]) -> bool:
        """Fetched since the last rebalance; what is older is fetched again by its partition's owner."""
        current: bool = event.message.generation_id == self.app.consumer_generation_id
        return current

    async def _process(self, events: Sequence[EventT[bytes]], stream: StreamT[bytes]) -> None:
        if not events:
            return
        await self._refuse_holes(events)
        started = time.perf_counter()
        result = self._engine.process([_record(event) for event in events], self._feed.book, datetime.now(UTC))
        await self._sink.write([dead_letter_message(EVENTS, refused) for refused in result.dead_letters])
        changelog = self._table.changelog_topic_name
        await self._sink.write(
            [Message(changelog, partition, key.encode(), row) for key, (partition, row) in result.rows.items()]
        )
        await self._sink.write(
            [Message(_TOPIC_OF[sent.kind], None, sent.key, sent.value) for _, sent in result.outgoing]
        )
        self._table.data.update({key.encode(): row for key, (_, row) in result.rows.items()})
        for event in events:
            await stream.ack(event)
        metrics.BATCH_SECONDS.observe(time.perf_counter() - started)
        self._show(events, result)

    async def _refuse_holes(self, events: Sequence[EventT[bytes]]) -> None:
        for event in events:
            message = event.message
            hole = self._continuity.hole_before(message.partition, message.offset)
            tp = TopicPartition(EVENTS, message.partition)
            if hole and await holds_records(self._settings.bootstrap, tp, hole):
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
            metrics.ACTIONS.labels(action.strategy.value).inc()
        metrics.DUPLICATES.inc(result.duplicates)
        metrics.REDELIVERED.inc(result.redelivered)
        metrics.LABELS.inc(result.labels)
        metrics.SCORES.inc(result.scored)
        for tp, offset in {event.message.tp: event.message.offset for event in events}.items():
            metrics.LAG.labels(tp.partition).set(max(self.app.consumer.highwater(tp) - offset - 1, 0))
        self._show_portfolio()

    def _show_portfolio(self) -> None:
        for (bucket, strategy), count in self._engine.portfolio.items():
            metrics.BORROWERS.labels(bucket, strategy.value).set(count)
        metrics.ARREARS.set(self._engine.arrears_minor / 100)


def _faust_app(settings: Settings) -> faust.App:
    # Faust makes its own folder, but not the one above it.
    settings.home.mkdir(parents=True, exist_ok=True)
    return faust.App(
        settings.application,
        broker=";".join(f"kafka://{each.strip()}" for each in settings.bootstrap.split(",")),
        store="memory://",
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        # Topics are made, and their partitions checked, by `streams.topics`.
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=settings.commit_seconds,
        broker_session_timeout=settings.session_seconds,
        broker_heartbeat_interval=settings.session_seconds / 5,
        stream_buffer_maxsize=4 * settings.batch_records,
        datadir=settings.home / "faust",
    )


def _record(event: EventT[bytes]) -> Record:
    message = event.message
    return Record(message.partition, message.offset, message.key, message.value, round(message.timestamp * 1000))
