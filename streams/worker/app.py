"""The Faust app of a worker: the parts of the event's way, wired together.

Group membership, assignment, the table's recovery and its standby copies are Faust's. In: events, by `intake.py`, to
`streams/consume.py`. Out: `streams/write.py`. `recovery.py` loads what Faust has recovered before the first event.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import faust

from monitoring import metrics
from streams.config.settings import Settings
from streams.consume import BatchLoop, Intake
from streams.contracts.topics import ACCOUNTS_TABLE, EVENTS
from streams.decide import Engine
from streams.kafka.broker_watch import BrokerWatch
from streams.kafka.connection import Connection
from streams.kafka.producer import Sink
from streams.score import ModelSet
from streams.worker.batches import BatchWork
from streams.worker.events_topic import EventsTopic, EventsTopicError
from streams.worker.gauges import PartitionGauges
from streams.worker.intake import IntakeTransport
from streams.worker.model_feed import ModelFeed
from streams.worker.offsets import OffsetCommits
from streams.worker.ownership import ChangelogWatch, KafkaLog, Membership, owner_name
from streams.worker.recovery import Recovery
from streams.worker.shutdown import COMMIT_SECONDS, FINISH_SECONDS, BoundedWorker, LastResort
from streams.worker.table import AccountsTable
from streams.worker.tuning import tune_garbage_collection
from streams.write import Changelog, OwnershipLostError, Writer

_log = logging.getLogger(__name__)
ROCKSDB_OPTIONS = {"driver": "rocksdict", "write_buffer_size": 16 << 20, "block_cache_size": 64 << 20}


class _StreamApp(faust.App):  # type: ignore[misc]
    """A Faust app whose consumer hands events over by `intake`, and which ends its work before Faust's services."""

    intake: Intake
    finish: Callable[[], Awaitable[None]]
    on_crash: Callable[[], None]
    watch: BrokerWatch

    def _crash(self, reason: BaseException) -> None:
        # Also if a service of Faust's own has crashed.
        self.on_crash()
        super()._crash(reason)

    async def on_start(self) -> None:
        # Faust starts an app's tasks only once the state is recovered, and a recovery that hangs must be seen.
        self.add_future(self.watch.run())
        await super().on_start()

    async def on_stop(self) -> None:
        await self.finish()
        await super().on_stop()


class Worker:
    """A Faust app with one table of borrowers and one task that works through the events; `app` is what runs."""

    def __init__(self, settings: Settings, model_set: ModelSet, partitions: int, watch: BrokerWatch) -> None:
        tune_garbage_collection()
        self._settings = settings
        self._last_resort = LastResort()
        self._reloading: asyncio.Task[None] | None = None
        self.app = _faust_app(settings)
        self._table = self._accounts_table(partitions)
        self._sink = Sink(settings.kafka)
        self._intake = Intake(4 * settings.batch_records)
        self._offsets = OffsetCommits(self.app, settings.commit_seconds)
        self._engine = Engine(settings.rules(), self._row, settings.placement(partitions))
        self._loading_since: float | None = None
        self._gauges = PartitionGauges(settings.kafka, self._offsets.next_offset)
        self._events = EventsTopic(settings.kafka, settings.application)
        feed = ModelFeed(settings.kafka, model_set, settings.snapshot_move)
        self._membership = membership = Membership(self.app)
        log = KafkaLog(settings.kafka, self._table.changelog_topic_name, self._sink)
        changelog = Changelog(self._table.changelog_topic_name, owner_name(), log, self._table)
        self._recovery = Recovery(
            settings,
            self.app,
            self._table,
            changelog,
            membership,
            self._engine,
            self._intake,
            feed,
            self._gauges,
            self._events,
            self._offsets,
        )
        work = BatchWork(
            settings,
            self.app,
            self._table,
            self._engine,
            feed,
            self._gauges,
            self._events,
            Writer(self._sink, changelog, self._offsets),
            self._on_lost,
            self.app.crash,
        )
        self._loop = BatchLoop(self._intake, work, settings.batch_records, settings.batch_seconds)
        self._start_with_app(feed, watch, ChangelogWatch(self.app, self._table, changelog, membership))
        metrics.FOREST_INFO.labels(model_set.versions.forest).set(1)

    def run(self) -> None:
        """Work until a signal ends the process."""
        process = BoundedWorker(
            self.app, loglevel=self._settings.log_level, redirect_stdouts=False, override_logging=False, quiet=True
        )
        process.last_resort = self._last_resort
        process.execute_from_commandline()

    @property
    def is_loaded(self) -> bool:
        """Whether the state of this worker's partitions is loaded, and events are worked on."""
        return self._loop.is_open

    @property
    def failed(self) -> bool:
        """Whether a batch, a recovery or a loop failed: the process is about to end, and only a restart helps."""
        return self._loop.failed or bool(self.app.crashed)

    @property
    def standing_since(self) -> float | None:
        """When the batch in work was begun or last tried to be written, by `time.monotonic`; None between batches."""
        started = self._loop.batch_started
        return None if started is None else max(started, self._sink.tried_at)

    @property
    def loading_since(self) -> float | None:
        """When the load of a recovered state was begun, or last tried to write; None unless one is at work."""
        since = self._loading_since
        return None if since is None else max(since, self._sink.tried_at)

    def _accounts_table(self, partitions: int) -> AccountsTable:
        table: AccountsTable = self.app.Table(
            ACCOUNTS_TABLE,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            on_recover=self._on_recovered,
            # A batch looks up rows of all partitions at once; Faust's own guess is that of the current event.
            use_partitioner=True,
            options=dict(ROCKSDB_OPTIONS) if self._settings.store == "rocksdb" else None,
        )
        return table

    def _start_with_app(self, feed: ModelFeed, watch: BrokerWatch, changelog_watch: ChangelogWatch) -> None:
        self.app.intake, self.app.finish, self.app.on_crash = self._intake, self._stop, self._on_crash
        self.app.topics.add(self.app.topic(EVENTS))
        self.app.on_partitions_revoked.connect(self._on_revoked)
        self.app.on_partitions_assigned.connect(self._on_assigned)
        self.app.task(self._loop.run)
        self.app.task(self._offsets.commit_now_and_then)
        if self._settings.online:
            self.app.task(feed.run)
        self.app.task(self._gauges.follow_lag)
        self.app.task(partial(changelog_watch.run, self._loop, self._on_lost))
        self.app.task(self._follow_topic)
        self.app.watch = watch

    def _row(self, key: str) -> bytes | None:
        """A row as it was last decided, be it in the table yet or not."""
        decided = self._loop.ahead.get(key)
        return decided[1] if decided else self._table.row(key.encode())

    async def _follow_topic(self) -> None:
        try:
            await self._events.follow()
        except EventsTopicError as error:
            _log.exception("the worker stops")
            await self.app.crash(error)

    async def _on_recovered(self) -> None:
        # Faust does not look at what its callback raised, and would go on with an engine that knows nothing.
        await self._or_crash(self._recovery.load(self._loop))

    async def _on_lost(self, error: OwnershipLostError) -> None:
        """Another has written to a partition: load anew once the lock is free, which the caller may hold."""
        _log.warning("the partitions are loaded anew: %s", error)
        self._gauges.lost()
        self._reloading = asyncio.create_task(self._or_crash(self._recovery.reload(self._loop)))

    async def _or_crash(self, loading: Awaitable[None]) -> None:
        self._loading_since = time.monotonic()
        try:
            await loading
        except Exception as error:
            _log.exception("the recovered state could not be loaded; the worker stops")
            await self.app.crash(error)
            raise
        finally:
            self._loading_since = None

    def _on_crash(self) -> None:
        """Something failed for good: decide nothing more, and end in any case."""
        self._loop.fail()
        self._last_resort.after_failure()

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        """Let the batch in flight end, commit it, and take no other until the state is loaded anew."""
        self._membership.changed()
        await self._loop.close()
        await self._offsets.commit(COMMIT_SECONDS)
        self._offsets.forget()
        self._intake.clear()
        self._gauges.lost()

    async def _on_assigned(self, *_: Any, **__: Any) -> None:
        """Wait for these partitions' recovery: one that was under way may have ended since the revocation."""
        self._membership.changed()
        self._loop.is_open = False

    async def _stop(self) -> None:
        """The same before Faust stops, each wait with a bound."""
        self._last_resort.after_signal()
        steps: list[tuple[str, float, Callable[[], Awaitable[object]]]] = [
            ("finishing the batch in flight", FINISH_SECONDS, self._loop.close),
            ("committing offsets", COMMIT_SECONDS, partial(self._offsets.commit, COMMIT_SECONDS)),
            ("closing the producer", COMMIT_SECONDS, self._sink.close),
        ]
        for step, seconds, work in steps:
            self._last_resort.step = step
            try:
                await asyncio.wait_for(work(), seconds)
            except TimeoutError:
                _log.warning("%s took longer than %.0f s and is left: a restart reads it again", step, seconds)
        self._last_resort.step = "stopping Faust"


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
        # What a fetch has brought becomes objects so many records at a time.
        broker_max_poll_records=10_000,
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
