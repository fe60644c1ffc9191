"""What retention, a topic made anew or a lost end takes from the events topic is noticed, and said."""

import asyncio
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete

from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.events import AccountEvent, DayClosed
from streams.contracts.topics import EVENTS
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from tests.support.factories import opened, payment, tick
from tests.support.processes import (
    Process,
    environment,
    metric,
    running,
    wait_for_metric,
    wait_until_drained,
)

PART = TopicPartition(EVENTS, 0)
EXPIRED = "riskmon_expired_records_total"


async def send(kafka: Connection, *events: AccountEvent | DayClosed) -> None:
    async with kafka.producer() as producer:
        for event in events:
            key = None if isinstance(event, DayClosed) else event.borrower_id.encode()
            await producer.send_and_wait(EVENTS, event.to_json(), key, partition=0)


async def expire(kafka: Connection, before: int) -> None:
    admin = kafka.admin()
    await admin.start()
    await admin.delete_records({PART: RecordsToDelete(before_offset=before)})
    await admin.close()


async def make_anew(kafka: Connection) -> None:
    admin = kafka.admin()
    await admin.start()
    await admin.delete_topics([EVENTS])
    for _ in range(100):
        await asyncio.sleep(0.1)
        if not any((await admin.create_topics([NewTopic(EVENTS, 1, 1)])).topic_errors[0][1:2]):
            break
    await admin.close()


async def ends(worker: Process) -> int:
    """The exit code of a worker that ends by itself."""
    return await asyncio.to_thread(worker.child.wait, 60)


async def test_events_that_expired_while_no_worker_ran_are_told(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka, env = own_broker.connection, environment(own_broker.connection, model, tmp_path)
    await ensure_topics(kafka, "riskmon", 1, 1)
    await send(kafka, opened(), payment(1))
    with running("worker", env, tmp_path / "before.log") as worker:
        await wait_until_drained(kafka, worker)
    await send(kafka, payment(2), payment(3), payment(4), payment(5))
    await expire(kafka, 4)
    with running("worker", env, tmp_path / "after.log") as worker:
        await wait_until_drained(kafka, worker)
        assert await metric(worker, EXPIRED, partition="0") == 2
        assert await metric(worker, "riskmon_events_total") == 2
    assert "offsets 2 to 3 were deleted before they were read" in worker.log.read_text()
    # All of them, and nothing comes behind.
    await send(kafka, payment(6), payment(7))
    await expire(kafka, 8)
    with running("worker", env, tmp_path / "again.log") as worker:
        assert await wait_for_metric(worker, lambda count: count > 0, EXPIRED) == 2
        await wait_for_metric(worker, lambda ready: ready == 1, "riskmon_worker_ready")
    # What was read already may go.
    await send(kafka, payment(8))
    with running("worker", env, tmp_path / "last.log") as worker:
        await wait_until_drained(kafka, worker)
        await expire(kafka, 9)
        await send(kafka, payment(9))
        await wait_until_drained(kafka, worker)
        assert await metric(worker, EXPIRED) == 0


async def test_a_topic_made_anew_stops_a_worker_at_its_start(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka, env = own_broker.connection, environment(own_broker.connection, model, tmp_path)
    await ensure_topics(kafka, "riskmon", 1, 1)
    await send(kafka, opened(), payment(1), tick(2))
    with running("worker", env, tmp_path / "before.log") as worker:
        await wait_until_drained(kafka, worker)
    await make_anew(kafka)
    # Kafka forgets the group's offsets with the topic, and the new one has grown past the state.
    await send(kafka, *(payment(offset) for offset in range(2, 9)))
    after = Process("worker", env, tmp_path / "after.log")
    assert await ends(after) != 0
    assert "the topic was made anew" in after.log.read_text()
    assert "RISKMON_APPLICATION" in after.log.read_text()
    with running("worker", env | {"RISKMON_APPLICATION": "second"}, tmp_path / "second.log") as worker:
        await wait_until_drained(kafka, worker, group="second")
        assert await metric(worker, "riskmon_dead_letters_total", reason="unknown_loan") == 7


async def test_a_topic_made_anew_under_a_running_worker_stops_it(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka, env = own_broker.connection, environment(own_broker.connection, model, tmp_path)
    await ensure_topics(kafka, "riskmon", 1, 1)
    await send(kafka, opened(), payment(1), payment(2))
    worker = Process("worker", env, tmp_path / "worker.log")
    try:
        await wait_until_drained(kafka, worker)
        await make_anew(kafka)
        await send(kafka, payment(3))
        assert await ends(worker) != 0
    finally:
        worker.child.kill()
    assert "the topic was made anew" in worker.log.read_text()


async def test_a_lost_end_stops_a_worker_at_its_start(own_broker: LocalBroker, model: Path, tmp_path: Path) -> None:
    kafka, env = own_broker.connection, environment(own_broker.connection, model, tmp_path)
    await ensure_topics(kafka, "riskmon", 1, 1)
    await send(kafka, opened())
    await asyncio.to_thread(own_broker.stop)
    folder = tmp_path / "kafka" / "topics" / f"{EVENTS}-0"
    (segment,) = folder.glob("*.log")
    copy = segment.read_bytes()
    await asyncio.to_thread(own_broker.start)
    await send(kafka, payment(1), payment(2), tick(3))
    with running("worker", env, tmp_path / "before.log") as worker:
        await wait_until_drained(kafka, worker)
    await asyncio.to_thread(own_broker.kill)
    for each in (*folder.glob("*.snapshot"), *folder.glob("*index"), *folder.glob("leader-epoch-checkpoint")):
        each.unlink()
    segment.write_bytes(copy)
    await asyncio.to_thread(own_broker.start)
    after = Process("worker", env, tmp_path / "after.log")
    assert await ends(after) != 0
    assert "ends at offset 1, but this application has read up to 4" in after.log.read_text()
