"""Writes to Kafka that return only when every message is acknowledged by all in-sync replicas."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from monitoring import metrics
from streams.contracts.topics import MAX_MESSAGE_BYTES
from streams.kafka.connection import Connection

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
# Below the 1 MB that a broker takes by default, with room for its headers.
_BATCH_BYTES = 960 << 10
_partition_of = DefaultPartitioner()


class Message(NamedTuple):
    """One message to write; without a partition its key chooses one."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Sink:
    """An idempotent producer that keeps trying while the broker is away.

    A retry may write a message twice, so every message must be safe to repeat: state rows are whole,
    actions carry a deterministic id, labels their order.
    """

    def __init__(self, kafka: Connection) -> None:
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None

    async def write(self, messages: Sequence[Message]) -> list[int]:
        """Write all messages, in order within a partition; returns the offset of each, once it is acknowledged."""
        while messages:
            try:
                return await self.write_once(messages)
            except KafkaError as error:
                _log.warning("Kafka did not take a write, trying again: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
        return []

    async def write_once(self, messages: Sequence[Message]) -> list[int]:
        """The same with one try. After a `KafkaError` nobody knows what of it was written, or still will be."""
        try:
            return await self._write_once(messages)
        except KafkaError:
            metrics.BROKER_ERRORS.inc()
            await self.close()
            raise

    async def close(self) -> None:
        """Give up the connection; the next write opens another."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _write_once(self, messages: Sequence[Message]) -> list[int]:
        producer = await self._connected()
        keyed = {message.topic for message in messages if message.partition is None}
        partitions = {topic: sorted(await producer.partitions_for(topic)) for topic in keyed}
        runs: dict[tuple[str, int], list[int]] = {}
        for at, message in enumerate(messages):
            runs.setdefault((message.topic, _partition(message, partitions)), []).append(at)
        # All are awaited before the first failure is raised, so that none is left to fail unseen.
        results = await asyncio.gather(
            *(_send(producer, *to, [messages[at] for at in run]) for to, run in runs.items()), return_exceptions=True
        )
        offsets = [0] * len(messages)
        for run, written in zip(runs.values(), results, strict=True):
            if isinstance(written, BaseException):
                raise written
            for at, offset in zip(run, written, strict=True):
                offsets[at] = offset
        return offsets

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = self._kafka.producer(max_request_size=MAX_MESSAGE_BYTES, max_batch_size=_BATCH_BYTES)
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer


def _partition(message: Message, partitions: Mapping[str, list[int]]) -> int:
    if message.partition is not None:
        return message.partition
    known = partitions[message.topic]
    # The hash of a key is plain Python: dear where there is nothing to choose.
    chosen: int = _partition_of(message.key, known, known) if len(known) > 1 else known[0]
    return chosen


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, messages: Sequence[Message]) -> list[int]:
    """Messages of one partition, in batches of our own: a future each would cost more than all else."""
    sent = [
        (await producer.send_batch(batch, topic, partition=partition), batch.record_count())
        for batch in _batches(producer, messages)
    ]
    # All are awaited before the first failure is raised, as above.
    written = await asyncio.gather(*(future for future, _ in sent), return_exceptions=True)
    offsets: list[int] = []
    for (_, count), first in zip(sent, written, strict=True):
        if isinstance(first, BaseException):
            raise first
        offsets.extend(range(first.offset, first.offset + count))
    return offsets


def _batches(producer: AIOKafkaProducer, messages: Sequence[Message]) -> list[Any]:
    batches = [producer.create_batch()]
    for message in messages:
        while not batches[-1].append(
            key=message.key, value=message.value, timestamp=None, headers=list(message.headers)
        ):
            batches.append(producer.create_batch())
    return batches
