"""The topics riskmon reads and writes, and their creation."""

from __future__ import annotations

import logging

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from streams.contracts.topics import EVENTS, Retention, changelog_name, topic_specs
from streams.kafka.connection import BrokerAwayError, Connection
from streams.kafka.retry import retried

_log = logging.getLogger(__name__)


class TopicError(ValueError):
    """The topics are not as riskmon needs them; the text says what to do."""


async def ensure_topics(
    kafka: Connection, application: str, partitions: int, replication: int, retention: Retention | None = None
) -> int:
    """Create what is missing; returns the partition count of the events topic, which an existing topic decides.

    An existing topic is left as it is: `riskmon doctor` says where its configuration differs.
    Raises `BrokerAwayError` if Kafka does not answer, `TopicError` if the changelog does not match the events topic.
    """
    admin = kafka.admin()
    try:
        await kafka.start(admin)
        found = {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics()}
        actual = found.get(EVENTS, partitions)
        specs = topic_specs(application, actual, replication, retention)
        missing = [spec for spec in specs if spec.name not in found]
        if missing:
            new = [NewTopic(s.name, s.partitions, replication, topic_configs=s.config) for s in missing]
            await _create(admin, new)
    except KafkaError as error:
        raise TopicError(f"Kafka at {kafka.bootstrap} refused to create the topics: {error}") from error
    finally:
        await admin.close()
    changelog = changelog_name(application)
    if found.get(changelog, actual) != actual:
        raise TopicError(
            f"{changelog} has {found[changelog]} partitions, but {EVENTS} has {actual}: borrowers' events and state "
            "would stand on different partitions. Stop all workers, then `riskmon repartition` brings the state along"
        )
    return actual


async def await_topics(
    kafka: Connection, application: str, partitions: int, replication: int, retention: Retention | None = None
) -> int:
    """The same, but wait for Kafka as long as it takes."""
    return await retried(
        lambda: ensure_topics(kafka, application, partitions, replication, retention),
        lambda error: _log.warning("%s; trying again", error),
        again=lambda error: isinstance(error, BrokerAwayError),
    )


async def partitions_of(kafka: Connection, *topics: str) -> list[TopicPartition]:
    """All partitions, in order. Raises `TopicError` if a topic is missing, `BrokerAwayError` without Kafka."""
    admin = kafka.admin()
    try:
        await kafka.start(admin)
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    numbers = {each["topic"]: sorted(part["partition"] for part in each["partitions"]) for each in described}
    for topic in topics:
        if not numbers[topic]:
            raise TopicError(
                f"no topic {topic} at {kafka.bootstrap}, or this user may not see it: has a worker run there?"
            )
    return [TopicPartition(topic, number) for topic in topics for number in numbers[topic]]


async def _create(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    response = await admin.create_topics(topics)
    for name, code, *rest in response.topic_errors:
        # Another process may have been quicker.
        if code not in (0, TopicAlreadyExistsError.errno):
            raise TopicError(f"topic {name} could not be created: {rest[0] if rest else code}")
