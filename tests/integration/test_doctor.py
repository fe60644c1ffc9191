"""`riskmon topics` and `riskmon doctor` as a user runs them."""

import asyncio
import os
import subprocess
import time
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from streams.command.local_kafka.broker import LocalBroker, free_port
from streams.command.topic_check import topic_facts
from streams.contracts.topics import DEADLETTER, EVENTS, Retention, changelog_name
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from tests.support.processes import COMMAND, read_messages


def riskmon(command: str, bootstrap: str, model: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {
        "RISKMON_BOOTSTRAP": bootstrap,
        "RISKMON_APPLICATION": "doctored",
        "RISKMON_MODEL_DIR": str(model),
        "RISKMON_METRICS_PORT": str(free_port()),
        "COLUMNS": "200",
    }
    return subprocess.run([*COMMAND, command], env=env, capture_output=True, text=True, timeout=60, check=False)


def test_doctor_is_content_once_the_topics_are_there(broker: LocalBroker, model: Path) -> None:
    before = riskmon("doctor", broker.bootstrap, model)
    assert before.returncode == 0, before.stdout + before.stderr
    assert "does not exist yet" in before.stdout
    made = riskmon("topics", broker.bootstrap, model)
    assert made.returncode == 0, made.stdout + made.stderr
    after = riskmon("doctor", broker.bootstrap, model)
    assert after.returncode == 0, after.stdout + after.stderr
    assert "does not exist yet" not in after.stdout
    assert "doctored-accounts-changelog" in after.stdout


def test_doctor_says_that_kafka_is_away_and_what_to_do(model: Path) -> None:
    run = riskmon("doctor", "127.0.0.1:1", model)
    assert run.returncode == 1
    assert "no answer from 127.0.0.1:1" in run.stdout
    assert "riskmon broker" in run.stdout
    assert "Traceback" not in run.stderr


async def described(kafka: Connection, *topics: str) -> dict[str, dict[str, str]]:
    admin = kafka.admin()
    await admin.start()
    try:
        return {name: dict(facts.config) for name, facts in (await topic_facts(admin, list(topics))).items()}
    finally:
        await admin.close()


async def test_topics_get_their_retention_and_are_not_altered_later(own_broker: LocalBroker, model: Path) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "doctored", 2, 1, Retention(events=400, deadletter=30))
    await ensure_topics(kafka, "doctored", 2, 1, Retention(events=10))
    configs = await described(kafka, EVENTS, DEADLETTER, changelog_name("doctored"))
    assert configs[EVENTS]["retention.ms"] == str(400 * 86_400_000)
    assert configs[EVENTS]["message.timestamp.type"] == "LogAppendTime"
    assert configs[DEADLETTER]["retention.ms"] == str(30 * 86_400_000)
    assert configs[changelog_name("doctored")]["max.compaction.lag.ms"] == str(7 * 86_400_000)
    run = await asyncio.to_thread(riskmon, "doctor", own_broker.bootstrap, model)
    assert run.returncode == 1
    # Of the dead letters less than the settings say; of the events more, which is only noted.
    assert "retention.ms is 2592000000" in run.stdout
    assert "add-config retention.ms=7776000000" in run.stdout.replace("\n", "")


async def test_a_time_stamp_far_ahead_is_the_brokers_own_instead(own_broker: LocalBroker) -> None:
    await ensure_topics(own_broker.connection, "doctored", 1, 1)
    async with own_broker.connection.producer() as producer:
        await producer.send_and_wait(EVENTS, b"{}", b"B1", timestamp_ms=int(time.time() * 1_000_000))
        await producer.send_and_wait(EVENTS, b"{}", b"B1", timestamp_ms=0)
    for message in await read_messages(own_broker.connection, EVENTS):
        assert abs(message.timestamp / 1000 - time.time()) < 60


async def test_events_that_expired_unread_and_a_topic_that_was_cut_are_wrong(
    own_broker: LocalBroker, model: Path
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "doctored", 1, 1)
    part = TopicPartition(EVENTS, 0)
    async with kafka.producer() as producer:
        for _ in range(5):
            await producer.send_and_wait(EVENTS, b"{}", b"B1")
    async with kafka.consumer(group_id="doctored") as consumer:
        consumer.assign([part])
        await consumer.commit({part: 2})
    admin = kafka.admin()
    await admin.start()
    try:
        await admin.delete_records({part: RecordsToDelete(before_offset=4)})
    finally:
        await admin.close()
    run = await asyncio.to_thread(riskmon, "doctor", own_broker.bootstrap, model)
    assert (run.returncode, "events expired before they were read: partition 0: 2" in run.stdout) == (1, True)
    async with kafka.consumer(group_id="doctored") as consumer:
        consumer.assign([part])
        await consumer.commit({part: 50})
    run = await asyncio.to_thread(riskmon, "doctor", own_broker.bootstrap, model)
    assert (run.returncode, "read to 50 of 5" in run.stdout) == (1, True)
