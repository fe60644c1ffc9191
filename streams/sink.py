"""Writes to Kafka that return only when every message is acknowledged by all in-sync replicas."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from monitoring import metrics
from streams.connection import Connection
from streams.topics import MAX_MESSAGE_BYTES

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0


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

    async def write(
        self, messages: Sequence[Message], allowed: Callable[[], Awaitable[None]] | None = None
    ) -> list[RecordMetadata]:
        """Write all messages, in order within a partition, and wait for their acknowledgement.

        `allowed` is asked before each try; what it raises ends the writing.
        """
        while messages:
            if allowed:
                await allowed()
            try:
                return await self._write_once(messages)
            except KafkaError as error:
                metrics.BROKER_ERRORS.inc()
                _log.warning("Kafka did not take a write, trying again: %s", error)
                await self.close()
                await asyncio.sleep(_RETRY_SECONDS)
        return []

    async def close(self) -> None:
        """Give up the connection; the next write opens another."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _write_once(self, messages: Sequence[Message]) -> list[RecordMetadata]:
        producer = await self._connected()
        sent = [
            await producer.send(m.topic, m.value, m.key, partition=m.partition, headers=list(m.headers))
            for m in messages
        ]
        # All are awaited before the first failure is raised, so that none is left to fail unseen.
        results = await asyncio.gather(*sent, return_exceptions=True)
        for failure in results:
            if isinstance(failure, BaseException):
                raise failure
        return results

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = self._kafka.producer(max_request_size=MAX_MESSAGE_BYTES)
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer
