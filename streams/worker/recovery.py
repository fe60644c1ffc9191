"""From the recovered table to the engine's memory: at a takeover, and when another has written to a partition."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from itertools import chain
from typing import Any, TypeVar

from aiokafka.errors import IllegalStateError, KafkaError

from streams.account.codec import BorrowerState, PartitionClock, decode_clock, decode_state, origin
from streams.config.settings import Settings
from streams.consume import BatchLoop, Intake
from streams.contracts.topics import EVENTS
from streams.decide import Engine
from streams.kafka.group import committed_offsets
from streams.worker.events_topic import EventsTopic
from streams.worker.gauges import PartitionGauges
from streams.worker.model_feed import ModelFeed
from streams.worker.offsets import OffsetCommits
from streams.worker.ownership import Membership
from streams.worker.table import AccountsTable
from streams.write import Changelog

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 2.0
_Row = TypeVar("_Row", BorrowerState, PartitionClock)


class Recovery:
    """Loads the partitions that this worker owns."""

    def __init__(
        self,
        settings: Settings,
        app: Any,
        table: AccountsTable,
        changelog: Changelog,
        membership: Membership,
        engine: Engine,
        intake: Intake,
        feed: ModelFeed,
        gauges: PartitionGauges,
        events: EventsTopic,
        offsets: OffsetCommits,
    ) -> None:
        self._settings = settings
        self._app = app
        self._table = table
        self._changelog = changelog
        self._membership = membership
        self._engine = engine
        self._intake = intake
        self._feed = feed
        self._gauges = gauges
        self._events = events
        self._offsets = offsets

    async def load(self, loop: BatchLoop) -> None:
        """Load what Faust has recovered, before any event is fetched, and open the loop."""
        # Faust resumes the events' partitions after this and only then seeks their committed offsets, with its fetcher
        # running: what is fetched in between is lost or never committed (faust-streaming issue 596). It sets the
        # flow going again itself, once it has sought.
        era = self._membership.era
        self._app.consumer.stop_flow()
        if self._settings.online:
            await self._feed.catch_up()
        async with loop.lock:
            await self._load(loop, await self._committed(), era)

    async def reload(self, loop: BatchLoop) -> None:
        """Load anew what the changelog holds, if the group still counts on this worker; else wait for a rebalance."""
        era = self._membership.era
        while True:
            try:
                async with loop.lock:
                    if loop.is_open or era != self._membership.era:
                        return
                    committed = await self._committed()
                    owned = self._membership.owned()
                    if not await self._membership.confirms({p: o for p, o in committed.items() if p in owned}):
                        _log.warning("the group has given this worker up; it waits for its next partitions")
                        return
                    await self._load(loop, committed, era)
                if era == self._membership.era:
                    self._app.consumer.resume_flow()
                return
            except KafkaError as error:
                _log.warning("the partitions cannot be loaded anew, trying again: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _committed(self) -> dict[int, int]:
        found = await committed_offsets(self._settings.kafka, self._settings.application, EVENTS)
        return {tp.partition: offset for tp, offset in found.items()}

    async def _load(self, loop: BatchLoop, committed: dict[int, int], era: int) -> None:
        await loop.written()
        owned = self._membership.owned()
        # Before anything is claimed or built on it.
        starts = await self._compared(owned, committed)
        try:
            await self._app.consumer.stand_at(starts)
        except IllegalStateError:
            _log.info("the partitions are given away again; what comes instead is loaded anew")
            return
        await self._changelog.claim(owned)
        self._intake.clear()
        self._offsets.begin(starts)
        # What has expired was told, and is told once.
        self._offsets.done({p: start for p, start in starts.items() if start > committed.get(p, start)})
        self._gauges.begin()
        self._engine.load(
            self._owned(decode_state, self._table.states(), owned),
            self._owned(decode_clock, self._table.clocks(), owned),
            committed,
        )
        if self._events.id:
            for partition in owned:
                self._engine.pin_topic(partition, self._events.id)
        await self._changelog.heal()
        if era != self._membership.era:
            _log.info("the partitions were given away meanwhile; what comes instead is loaded anew")
            return
        loop.open()
        self._gauges.recovered(owned, self._engine)

    async def _compared(self, owned: Set[int], committed: Mapping[int, int]) -> dict[int, int]:
        """Where to read on, if the events topic is the one of the recovered rows. Raises `EventsTopicError` if not."""
        applied: dict[int, int] = {}
        clocks = [decode_clock(row) for row in self._table.clocks()]
        for partition, offset in chain(
            map(origin, self._table.states()), ((clock.partition, clock.applied_offset) for clock in clocks)
        ):
            applied[partition] = max(applied.get(partition, -1), offset)
        ids = {clock.partition: clock.topic_id for clock in clocks}
        return await self._events.begin(owned, committed, applied, ids)

    def _owned(self, decode: Callable[[bytes], _Row], rows: Iterable[bytes], owned: Set[int]) -> Iterator[_Row]:
        for row in rows:
            value = decode(row)
            if value.partition in owned:
                self._gauges.row(value.partition, row, None)
                yield value
