"""Which partitions are this worker's, by the consumer group, and their rows in the changelog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from faust.types import TP

from streams.contracts.topics import EVENTS
from streams.kafka.producer import Message, Sink
from streams.worker.table import AccountsTable, Written
from streams.write import OwnershipLostError, Row


class OwnedRows:
    """Writes rows to the changelog and, once they are safe there, to the local store."""

    def __init__(self, app: Any, sink: Sink, table: AccountsTable, is_open: Callable[[], bool]) -> None:
        self._app = app
        self._sink = sink
        self._table = table
        self._is_open = is_open

    async def write(self, rows: Sequence[Row], firsts: Mapping[int, int]) -> None:
        """Write a batch's rows, if the group still counts on this worker; `firsts` are its first offsets."""
        await self._write(rows, partial(self._assert_owner, firsts, self._app.consumer_generation_id))

    async def restore_overtaken(self) -> None:
        """Put newer rows behind stale ones in the changelog, before compaction can leave only the stale one."""
        await self._write(self._table.overtaken_rows(), None)

    async def _write(self, rows: Sequence[Row], allowed: Any) -> None:
        changelog = self._table.changelog_topic_name
        written = await self._sink.write([Message(changelog, *row) for row in rows], allowed)
        self._table.write(
            [
                Written(TP(changelog, row.partition), row.partition, offset, row.key, row.value)
                for row, offset in zip(rows, written, strict=True)
            ]
        )

    async def _assert_owner(self, firsts: Mapping[int, int], generation: int) -> None:
        """Raise `OwnershipLostError` unless the group still counts on this worker for the batch's partitions.

        The coordinator is asked by a commit of the offsets before the batch, which it refuses to a worker that it
        has given up: one that was suspended past its session cannot know that otherwise.
        """
        offsets = {TP(EVENTS, partition): first for partition, first in firsts.items()}
        consumer = self._app.consumer
        if (
            offsets.keys() <= consumer.assignment()
            and await consumer._commit(offsets)
            and self._is_open()
            and generation == self._app.consumer_generation_id
        ):
            return
        raise OwnershipLostError(f"{sorted(firsts)} are another worker's by now")
