"""Which partitions are this worker's: by the consumer group, and by what it finds in the changelog."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from aiokafka.errors import KafkaError
from faust.types import TP

from streams.consume import BatchLoop
from streams.contracts.topics import EVENTS
from streams.kafka.changelog import LogRecord, read_span
from streams.kafka.connection import Connection
from streams.kafka.producer import Message, Sink
from streams.worker.table import AccountsTable
from streams.write import Changelog, OwnershipLostError, UnclearWriteError

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_RETRY_SECONDS = 1.0


def owner_name() -> str:
    """A name for this process, never given twice."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:12]}"


class KafkaLog:
    """The changelog on Kafka."""

    def __init__(self, kafka: Connection, changelog: str, sink: Sink) -> None:
        self._kafka = kafka
        self._changelog = changelog
        self._sink = sink

    async def write(self, messages: Sequence[Message]) -> list[int]:
        """Write, and try as long as it takes."""
        return await self._sink.write(messages)

    async def write_once(self, messages: Sequence[Message]) -> list[int]:
        """Write with one try. Raises `UnclearWriteError`."""
        try:
            return await self._sink.write_once(messages)
        except KafkaError as error:
            raise UnclearWriteError(f"Kafka did not acknowledge {len(messages)} rows: {error}") from error

    async def read(self, partition: int, start: int, stop: int) -> list[LogRecord]:
        """The records in [start, stop); waits for Kafka as long as it takes."""
        while True:
            try:
                return await read_span(self._kafka, self._changelog, partition, start, stop)
            except (KafkaError, TimeoutError) as error:
                _log.warning("%s-%d cannot be read, trying again: %s", self._changelog, partition, error)
                await asyncio.sleep(_RETRY_SECONDS)


class Membership:
    """What the consumer group says."""

    def __init__(self, app: Any) -> None:
        self._app = app
        # Counts whenever partitions are revoked or assigned: Faust ends a recovery also after its partitions are gone.
        self.era = 0

    def changed(self) -> None:
        """Partitions were revoked or assigned: what is being loaded is not to be worked on."""
        self.era += 1

    def owned(self) -> set[int]:
        """The partitions that were given to this worker last."""
        return {tp.partition for tp in self._app.assignor.assigned_actives() if tp.topic == EVENTS}

    async def confirms(self, committed: Mapping[int, int]) -> bool:
        """Whether the coordinator still counts on this worker; it may not know that it was given up.

        It is asked by a commit of what is committed, which it refuses to a worker that it has given up.
        """
        offsets = {TP(EVENTS, partition): offset for partition, offset in committed.items()}
        consumer = self._app.consumer
        if not offsets.keys() <= consumer.assignment():
            return False
        return not offsets or bool(await consumer._commit(offsets))


class ChangelogWatch:
    """Looks for records of others in the owned partitions also while there is nothing to write."""

    def __init__(self, app: Any, table: AccountsTable, changelog: Changelog, membership: Membership) -> None:
        self._app = app
        self._table = table
        self._changelog = changelog
        self._membership = membership

    async def run(self, loop: BatchLoop, lost: Callable[[OwnershipLostError], Awaitable[None]]) -> None:
        """Look until cancelled; `lost` is told when a record counts that this worker has not written."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if not loop.is_open:
                continue
            ends = await self._ends()
            if not self._has_more(ends):
                continue
            async with loop.lock:
                # What this worker was writing meanwhile is taken in by then.
                await loop.written()
                if loop.is_open and self._has_more(ends):
                    try:
                        await self._changelog.look(ends)
                        await self._changelog.heal()
                    except OwnershipLostError as error:
                        loop.is_open = False
                        await lost(error)

    async def _ends(self) -> dict[int, int]:
        tps = [TP(self._table.changelog_topic_name, partition) for partition in self._membership.owned()]
        try:
            found = await self._app.consumer.highwaters(*tps)
        except KafkaError as error:
            _log.debug("the ends of the changelog are not known, trying again: %s", error)
            return {}
        return {tp.partition: end for tp, end in found.items() if end is not None}

    def _has_more(self, ends: Mapping[int, int]) -> bool:
        return any(end > self._table.next_offset(partition) for partition, end in ends.items())
