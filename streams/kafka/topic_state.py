"""What Kafka itself says of a topic: which one it is, and from where to where each partition's log goes."""

from __future__ import annotations

import base64
from collections.abc import Collection
from io import BytesIO
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from streams.kafka.connection import Connection


class LogSpan(NamedTuple):
    """The offsets of a partition's log: the first that is kept, the end of what is decided, the end of all.

    Between `stable` and `end` stands a transaction that is still open, and whatever was written since it began.
    """

    begin: int
    stable: int
    end: int

    @property
    def is_held(self) -> bool:
        """Whether an open transaction holds what is behind it."""
        return self.stable < self.end


async def topic_id(kafka: Connection, topic: str) -> str | None:
    """The id that Kafka gave the topic when it was made, as its tools show it; None where it is too old to say.

    Raises `UnknownTopicOrPartitionError` where there is no such topic.
    """
    admin = kafka.admin()
    try:
        await kafka.start(admin)
        answer = await admin._client.send(admin._client.get_random_node(), _IdRequest(topic))
    except NotImplementedError:
        return None
    finally:
        await admin.close()
    ((code, _, found, *_),) = answer.topics
    error = for_code(code)
    if error is not NoError:
        raise error(topic)
    return base64.urlsafe_b64encode(found).decode().rstrip("=")


async def log_spans(kafka: Connection, parts: Collection[TopicPartition]) -> dict[TopicPartition, LogSpan]:
    """Where the logs of these partitions begin and end now."""
    committed, all_records = kafka.consumer(), kafka.consumer(isolation_level="read_uncommitted")
    try:
        for consumer in (committed, all_records):
            await kafka.start(consumer)
        return await spans_of(committed, all_records, parts)
    finally:
        for consumer in (committed, all_records):
            await consumer.stop()


async def spans_of(
    committed: AIOKafkaConsumer, all_records: AIOKafkaConsumer, parts: Collection[TopicPartition]
) -> dict[TopicPartition, LogSpan]:
    """The same by two consumers that run: one reads what is committed, the other all."""
    if not parts:
        return {}
    begins = await all_records.beginning_offsets(parts)
    stable = await committed.end_offsets(parts)
    ends = await all_records.end_offsets(parts)
    return {tp: LogSpan(begins[tp], stable[tp], ends[tp]) for tp in parts}


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]
    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value


class _IdResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("topic_authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _IdRequestV10(RequestStruct):  # type: ignore[misc]
    """The first version of Kafka's metadata request whose answer has the topic's id (Kafka 2.8)."""

    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _IdResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _IdRequest(Request[_IdRequestV10]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_IdRequestV10]) -> _IdRequestV10:
        return request_struct_class([(bytes(16), self._topic, {})], False, False, False, {})
