"""From the recovered table to the engine's memory, before any event is fetched."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Set
from typing import Any, TypeVar

from aiokafka.errors import IllegalStateError

from streams.account.codec import BorrowerState, PartitionClock, decode_clock, decode_state
from streams.config.settings import Settings
from streams.consume import BatchLoop, Intake
from streams.contracts.topics import EVENTS
from streams.decide import Engine
from streams.kafka.continuity import Continuity
from streams.kafka.group import committed_offsets
from streams.worker.gauges import PartitionGauges
from streams.worker.model_feed import ModelFeed
from streams.worker.ownership import OwnedRows
from streams.worker.table import AccountsTable

_log = logging.getLogger(__name__)
_Row = TypeVar("_Row", BorrowerState, PartitionClock)


class Recovery:
    """Loads the partitions that this worker owns. `continuity` is what their events should go on with."""

    def __init__(
        self,
        settings: Settings,
        app: Any,
        table: AccountsTable,
        rows: OwnedRows,
        engine: Engine,
        intake: Intake,
        feed: ModelFeed,
        gauges: PartitionGauges,
    ) -> None:
        self._settings = settings
        self._app = app
        self._table = table
        self._rows = rows
        self._engine = engine
        self._intake = intake
        self._feed = feed
        self._gauges = gauges
        self.continuity = Continuity({})

    async def load(self, loop: BatchLoop) -> None:
        """Load what the table holds, and open the loop."""
        # Faust resumes the events' partitions after this and only then seeks their committed offsets, with its fetcher
        # running: what is fetched in between is lost or never committed (faust-streaming issue 596). It sets the
        # flow going again itself, once it has sought.
        self._app.consumer.stop_flow()
        if self._settings.online:
            await self._feed.catch_up()
        async with loop.lock:
            found = await committed_offsets(self._settings.kafka, self._settings.application, EVENTS)
            committed = {tp.partition: offset for tp, offset in found.items()}
            owned = {tp.partition for tp in self._app.assignor.assigned_actives() if tp.topic == EVENTS}
            try:
                await self._app.consumer.stand_at(committed, owned)
            except IllegalStateError:
                _log.info("the partitions are given away again; what comes instead is loaded anew")
                return
            # Here the events' topic can be looked at before anything is built on it.
            self._intake.clear()
            self.continuity = Continuity(committed)
            self._gauges.begin()
            self._engine.load(
                self._owned(decode_state, self._table.states(), owned),
                self._owned(decode_clock, self._table.clocks(), owned),
                committed,
            )
            await self._rows.restore_overtaken()
            loop.open()
            self._gauges.recovered(owned, self._engine)

    def _owned(self, decode: Callable[[bytes], _Row], rows: Iterable[bytes], owned: Set[int]) -> Iterator[_Row]:
        for row in rows:
            value = decode(row)
            if value.partition in owned:
                self._gauges.row(value.partition, row, None)
                yield value
