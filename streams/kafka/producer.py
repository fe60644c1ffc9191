"""Writes to Kafka that return only when every message is acknowledged by all in-sync replicas."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RecordTooLargeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import DefaultPartitioner

from monitoring import metrics
from streams.contracts.topics import MAX_MESSAGE_BYTES
from streams.kafka.connection import Connection
from streams.kafka.retry import GivenUpError, is_being_cancelled, is_passing, retried

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
# Below the 1 MB that a broker takes by default, with room for its headers.
_BATCH_BYTES = 960 << 10
# How long Kafka may refuse what a person can mend meanwhile: a topic, a right, a password.
PATIENCE_SECONDS = 60.0
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError, RecordTooLargeError)
# `UnknownError` is also how aiokafka reads the codes it does not know, such as INVALID_RECORD.
_MENDED_BY_PEOPLE = (
    UnknownTopicOrPartitionError,
    TopicAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    AuthenticationFailedError,
    SaslAuthenticationFailed,
    UnknownError,
)
_partition_of = DefaultPartitioner()


class WriteRefusedError(RuntimeError):
    """Kafka refuses a write for good, so that trying again changes nothing; the text names topic and reason."""


class MessageTooLargeError(WriteRefusedError):
    """A single message is larger than its topic takes."""


class Message(NamedTuple):
    """One message to write; without a partition its key chooses one."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        return (
            len(self.key or b"")
            + len(self.value or b"")
            + sum(len(name.encode()) + len(value) for name, value in self.headers)
        )


class Sink:
    """An idempotent producer that keeps trying while the broker is away.

    A retry may write a message twice, so every message must be safe to repeat: state rows are whole,
    actions carry a deterministic id, labels their order. `tried_at` is when it last tried (`time.monotonic`).
    """

    def __init__(self, kafka: Connection) -> None:
        self._kafka = kafka
        self._producer: AIOKafkaProducer | None = None
        # Topics that take each message, but not many in one batch.
        self._one_by_one: set[str] = set()
        self._refused_since: float | None = None
        self.tried_at = time.monotonic()

    async def write(self, messages: Sequence[Message]) -> list[int]:
        """Write all messages, in order within a partition; returns the offset of each, once it is acknowledged.

        Raises `WriteRefusedError` if Kafka refuses what no retry mends: some of the messages may be written by then.
        """
        if not messages:
            return []
        return await retried(lambda: self.write_once(messages), _warn, seconds=_RETRY_SECONDS)

    async def write_once(self, messages: Sequence[Message]) -> list[int]:
        """The same with one try. After a `KafkaError` nobody knows what of it was written, or still will be.

        Another try may help then. Raises `WriteRefusedError` if none can.
        """
        self.tried_at = time.monotonic()
        try:
            offsets = await self._write_parts(messages)
        except _FailedError as failed:
            metrics.BROKER_ERRORS.inc()
            await self.close()
            self._refuse_if_final(failed, messages)
            raise failed.error from None
        self._refused_since = None
        return offsets

    async def close(self) -> None:
        """Give up the connection; the next write opens another."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _write_parts(self, messages: Sequence[Message]) -> list[int]:
        with _failing(messages[0].topic):
            producer = await self._connected()
        partitions = {}
        for topic in {message.topic for message in messages if message.partition is None}:
            with _failing(topic):
                partitions[topic] = sorted(await producer.partitions_for(topic))
        runs: dict[tuple[str, int], list[int]] = {}
        for at, message in enumerate(messages):
            runs.setdefault((message.topic, _partition(message, partitions)), []).append(at)
        # All are awaited before the first failure is raised, so that none is left to fail unseen.
        results = await asyncio.gather(
            *(
                _send(producer, *to, [messages[at] for at in run], to[0] in self._one_by_one)
                for to, run in runs.items()
            ),
            return_exceptions=True,
        )
        _raise_worst(results)
        offsets = [0] * len(messages)
        for run, written in zip(runs.values(), results, strict=True):
            assert not isinstance(written, BaseException)
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

    def _refuse_if_final(self, failed: _FailedError, messages: Sequence[Message]) -> None:
        """Raise `WriteRefusedError` unless another try can succeed."""
        topic, error = failed.topic, failed.error
        if isinstance(error, _TOO_LARGE):
            if topic in self._one_by_one:
                raise _too_large(topic, messages) from error
            self._one_by_one.add(topic)
        elif isinstance(error, _MENDED_BY_PEOPLE):
            self._refused_since = self._refused_since or time.monotonic()
            if time.monotonic() - self._refused_since >= PATIENCE_SECONDS:
                raise _refused(failed) from error
        elif not is_passing(error):
            raise _refused(failed) from error
        else:
            self._refused_since = None


class _FailedError(Exception):
    """One topic's part of a write failed."""

    def __init__(self, topic: str, error: Exception) -> None:
        super().__init__(f"{topic}: {type(error).__name__}: {error}")
        self.topic = topic
        self.error = error


def _too_large(topic: str, messages: Sequence[Message]) -> MessageTooLargeError:
    largest = max((each for each in messages if each.topic == topic), key=lambda each: each.size)
    return MessageTooLargeError(
        f"{topic} does not take a message of {largest.size} bytes (key {(largest.key or b'')[:64]!r}): "
        "raise its max.message.bytes"
    )


def _refused(failed: _FailedError) -> WriteRefusedError:
    return WriteRefusedError(f"Kafka refuses to be written to, and a retry does not mend that: {failed}")


def _warn(error: BaseException) -> None:
    _log.warning("Kafka did not take a write, trying again: %s", error)


@contextmanager
def _failing(topic: str) -> Iterator[None]:
    """Say which topic a failure is about."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise _FailedError(topic, error) from error
    except asyncio.CancelledError:
        if is_being_cancelled():
            raise
        raise _FailedError(topic, GivenUpError()) from None


def _raise_worst(results: Sequence[object]) -> None:
    """Raise a failure that no retry mends before one that passes."""
    failures = [each for each in results if isinstance(each, BaseException)]
    for failure in failures:
        if not isinstance(failure, _FailedError) or not is_passing(failure.error):
            raise failure
    for failure in failures:
        raise failure


def _partition(message: Message, partitions: Mapping[str, list[int]]) -> int:
    if message.partition is not None:
        return message.partition
    known = partitions[message.topic]
    # The hash of a key is plain Python: dear where there is nothing to choose.
    chosen: int = _partition_of(message.key, known, known) if len(known) > 1 else known[0]
    return chosen


async def _send(
    producer: AIOKafkaProducer, topic: str, partition: int, messages: Sequence[Message], one_by_one: bool
) -> list[int]:
    """Messages of one partition, in batches of our own: a future each would cost more than all else."""
    with _failing(topic):
        sent = [
            (await producer.send_batch(batch, topic, partition=partition), batch.record_count())
            for batch in _batches(producer, messages, one_by_one)
        ]
        # All are awaited before the first failure is raised, as above.
        written = await asyncio.gather(*(future for future, _ in sent), return_exceptions=True)
        offsets: list[int] = []
        for (_, count), first in zip(sent, written, strict=True):
            if isinstance(first, BaseException):
                raise first
            offsets.extend(range(first.offset, first.offset + count))
        return offsets


def _batches(producer: AIOKafkaProducer, messages: Sequence[Message], one_by_one: bool) -> list[Any]:
    batches: list[Any] = []
    for message in messages:
        if one_by_one or not batches or not _append(batches[-1], message):
            # An empty batch takes a message of any size.
            batches.append(producer.create_batch())
            _append(batches[-1], message)
    return batches


def _append(batch: Any, message: Message) -> bool:
    appended = batch.append(key=message.key, value=message.value, timestamp=None, headers=list(message.headers))
    return appended is not None
