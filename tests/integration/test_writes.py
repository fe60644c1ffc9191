"""Writes that Kafka does not take: dead letters go smaller, everything else ends in clear words; nothing is skipped."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.records import DeadLetter, Record
from streams.contracts.topics import ACTIONS, DEADLETTER, EVENTS
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from streams.kafka.dead_letters import file_dead_letters, filed_letter
from streams.kafka.producer import Message, MessageTooLargeError, Sink
from tests.integration.test_hard_times import publish_simulated
from tests.support.factories import opened, payment
from tests.support.processes import Process, environment, read_messages, running, wait_for_commit

_LARGE = 17_000_000


async def limit(kafka: Connection, topic: str, most: int) -> None:
    """Set the largest message, more exactly the largest batch, that a topic takes."""
    admin = kafka.admin()
    await admin.start()
    await admin.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, topic, configs={"max.message.bytes": str(most)})]
    )
    await admin.close()


async def test_a_key_no_topic_could_take_stops_nothing(own_broker: LocalBroker, model: Path, tmp_path: Path) -> None:
    """It comes out of a compressed batch; so do headers, which are not kept."""
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 1, 1)
    async with kafka.producer(compression_type="gzip", max_request_size=4 * _LARGE) as producer:
        await producer.send_and_wait(EVENTS, opened().to_json(), b"B1")
        await producer.send_and_wait(EVENTS, b"v", b"k" * _LARGE)
        await producer.send_and_wait(EVENTS, b"v" * _LARGE, b"k" * _LARGE, headers=[("h", b"h" * _LARGE)])
        await producer.send_and_wait(EVENTS, payment(31).to_json(), b"B1")
    with running("worker", environment(kafka, model, tmp_path), tmp_path / "worker.log") as worker:
        await wait_for_commit(kafka, 4, worker)
    letters = await read_messages(kafka, DEADLETTER)
    assert [filed_letter(each).origin_offset for each in letters] == [1, 2]
    assert all(filed_letter(each).is_cut for each in letters)
    told = [dict(each.headers) for each in letters]
    assert [each["riskmon-key-cut-from-bytes"] for each in told] == [str(_LARGE).encode()] * 2
    assert [each.get("riskmon-cut-from-bytes") for each in told] == [None, str(_LARGE).encode()]
    assert letters[0].value == b"v"


@pytest.mark.parametrize("most", [1_048_588, 60_000, 2_000])
async def test_dead_letters_go_smaller_where_the_topic_was_made_so(own_broker: LocalBroker, most: int) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 1, 1)
    await limit(kafka, DEADLETTER, most)
    sink = Sink(kafka)
    refused = [
        DeadLetter(Record(0, offset, b"k" * key, b"v" * value, 0), "invalid_event", "not JSON")
        for offset, (key, value) in enumerate([(2, 10), (3_000_000, 10), (10, 3_000_000), (40_000, 40_000)])
    ]
    await asyncio.wait_for(file_dead_letters(sink, EVENTS, refused), 60)
    await sink.close()
    letters = [filed_letter(each) for each in await read_messages(kafka, DEADLETTER)]
    assert {each.origin_offset for each in letters} == {0, 1, 2, 3}
    assert [each.is_cut for each in letters if each.origin_offset in (1, 2)] == [True, True]


async def test_many_small_messages_reach_a_topic_that_takes_no_large_batch(own_broker: LocalBroker) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 1, 1)
    await limit(kafka, ACTIONS, 2_000)
    sink = Sink(kafka)
    messages = [Message(ACTIONS, 0, b"B1", str(number).encode() * 300) for number in range(20)]
    offsets = await asyncio.wait_for(sink.write(messages), 60)
    held = {each.offset: each.value for each in await read_messages(kafka, ACTIONS)}
    assert [held[offset] for offset in offsets] == [each.value for each in messages]
    with pytest.raises(MessageTooLargeError, match="does not take a message of 9002 bytes"):
        await asyncio.wait_for(sink.write([*messages, Message(ACTIONS, 0, b"B1", b"x" * 9_000)]), 60)
    await sink.close()


async def test_an_action_its_topic_does_not_take_ends_the_worker_in_clear_words(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 4, 1)
    await limit(kafka, ACTIONS, 300)
    await publish_simulated(kafka, days=90, seed=3)
    worker = Process("worker", environment(kafka, model, tmp_path), tmp_path / "worker.log")
    try:
        assert await asyncio.to_thread(worker.child.wait, 120) != 0
    finally:
        worker.child.kill()
    assert "riskmon.actions does not take a message of" in worker.log.read_text()
    assert await read_messages(kafka, ACTIONS) == []
