"""Messages of the changelog, reading a part of it, and writing to it as an administrator."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import TopicPartition

from streams.account.changelog import Headers, claim_key, standing_on
from streams.kafka.connection import Connection
from streams.kafka.producer import Message, Sink

_READ_SECONDS = 60.0
_TRIES = 20


class Row(NamedTuple):
    """A row of the account table, as it goes to the changelog; without a value it is removed."""

    partition: int
    key: bytes
    value: bytes | None


class LogRecord(NamedTuple):
    """A record of the changelog as it is read."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class ChangelogBusyError(RuntimeError):
    """Workers wrote in between again and again; nothing counts of what was to be written."""


def claim_message(changelog: str, partition: int, owner: str) -> Message:
    """A claim on a partition; `owner` is for people who read the topic, and tells a claimant its own claims."""
    return Message(changelog, partition, claim_key(partition), owner.encode())


def row_message(changelog: str, row: Row, claim: int) -> Message:
    """A row that stands on a claim."""
    return Message(changelog, row.partition, row.key, row.value, standing_on(claim))


async def read_span(kafka: Connection, changelog: str, partition: int, start: int, stop: int) -> list[LogRecord]:
    """The records of a partition in [start, stop), as far as compaction has left them.

    Raises `TimeoutError` if they cannot be read in a minute.
    """
    tp = TopicPartition(changelog, partition)
    # Like Faust's own recovery: a transaction that a stranger left open must not hide what stands behind it.
    consumer = kafka.consumer(auto_offset_reset="earliest", isolation_level="read_uncommitted")
    found: list[LogRecord] = []
    async with asyncio.timeout(_READ_SECONDS):
        await consumer.start()
        try:
            consumer.assign([tp])
            consumer.seek(tp, max(start, (await consumer.beginning_offsets([tp]))[tp]))
            while await consumer.position(tp) < stop:
                for m in (await consumer.getmany(tp, timeout_ms=500)).get(tp, []):
                    if m.offset < stop:
                        found.append(LogRecord(partition, m.offset, m.key, m.value, m.headers))
        finally:
            await consumer.stop()
    return found


async def write_as_administrator(sink: Sink, changelog: str, rows: Sequence[Row], owner: str) -> None:
    """Write rows or tombstones into partitions that workers own: each partition is claimed for the moment.

    Its worker sees the claim, drops the batch it was writing, and loads the partition anew with what stands there now.
    Raises `ChangelogBusyError` if a worker wrote in between every time.
    """
    for partition in sorted({row.partition for row in rows}):
        mine = [row for row in rows if row.partition == partition]
        for _ in range(_TRIES):
            (claim,) = await sink.write([claim_message(changelog, partition, owner)])
            offsets = await sink.write([row_message(changelog, row, claim) for row in mine])
            # Whatever came in between may have been its worker's next claim.
            if offsets == list(range(claim + 1, claim + 1 + len(mine))):
                break
        else:
            raise ChangelogBusyError(f"partition {partition} of {changelog} is being written to; try again")
