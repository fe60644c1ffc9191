"""Events in every codec, bombs and damaged batches through a real broker and a real worker."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.topics import DEADLETTER, EVENTS
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from tests.support.factories import opened, payment
from tests.support.oracle import assert_as_uninterrupted
from tests.support.processes import Process, environment, metric, read_messages, running, wait_until_drained

CODECS = (None, "gzip", "snappy", "lz4", "zstd")


async def send(kafka: Connection, *values: bytes, codec: str | None = None, **options: Any) -> None:
    """One batch of events of B1."""
    async with kafka.producer(compression_type=codec, linger_ms=50, **options) as producer:
        waiting = [await producer.send(EVENTS, value, b"B1") for value in values]
        await asyncio.gather(*waiting)


async def set_topic(kafka: Connection, **config: str) -> None:
    admin = kafka.admin()
    await admin.start()
    settings = {name.replace("_", "."): value for name, value in config.items()}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, EVENTS, settings)])
    await admin.close()


def peak_mb(worker: Process) -> int:
    """The most memory that the process has had."""
    status = Path(f"/proc/{worker.child.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


async def test_events_in_every_codec_are_applied(own_broker: LocalBroker, model: Path, tmp_path: Path) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 1, 1)
    await send(kafka, opened().to_json())
    for number, codec in enumerate(CODECS):
        await send(kafka, *(payment(10 * number + each).to_json() for each in range(10)), codec=codec)
    for number, codec in enumerate(("gzip", "snappy", "lz4", "zstd"), len(CODECS)):
        await set_topic(kafka, compression_type=codec)
        await send(kafka, *(payment(10 * number + each).to_json() for each in range(10)))
    with running("worker", environment(kafka, model, tmp_path), tmp_path / "worker.log") as worker:
        await wait_until_drained(kafka, worker)
        assert await metric(worker, "riskmon_events_total") == 91
        assert await metric(worker, "riskmon_dead_letters_total") == 0
    await assert_as_uninterrupted(kafka, model)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
async def test_a_bomb_costs_bounded_memory_and_the_stream_goes_on(
    own_broker: LocalBroker, model: Path, tmp_path: Path, codec: str
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 1, 1)
    await send(kafka, opened().to_json())
    await send(kafka, bytes(400 << 20), codec=codec, max_request_size=1 << 30, max_batch_size=1 << 20)
    await send(kafka, payment(5).to_json())
    with running("worker", environment(kafka, model, tmp_path), tmp_path / "worker.log") as worker:
        await wait_until_drained(kafka, worker)
        assert await metric(worker, "riskmon_events_total") == 2
        assert await metric(worker, "riskmon_dead_letters_total", reason="too_large") == 1
        peak = peak_mb(worker)
    print(f"{codec}: the worker had {peak} MB at most")
    assert peak < 420
    (letter,) = await read_messages(kafka, DEADLETTER)
    headers = dict(letter.headers)
    assert (headers["riskmon-reason"], headers["riskmon-offset"]) == (b"too_large", b"1")
    assert letter.value is None


async def test_batches_just_under_the_bound_do_not_add_up(own_broker: LocalBroker, model: Path, tmp_path: Path) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 1, 1)
    await send(kafka, opened().to_json())
    for _ in range(12):
        await send(kafka, bytes(60 << 20), codec="zstd", max_request_size=1 << 30)
    await send(kafka, payment(5).to_json())
    with running("worker", environment(kafka, model, tmp_path), tmp_path / "worker.log") as worker:
        await wait_until_drained(kafka, worker)
        assert await metric(worker, "riskmon_events_total") == 2
        assert await metric(worker, "riskmon_dead_letters_total") == 12
        peak = peak_mb(worker)
    print(f"twelve times 60 MiB: the worker had {peak} MB at most")
    assert peak < 600


async def test_a_batch_damaged_on_the_disk_is_a_dead_letter_a_record(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 1, 1)
    await send(kafka, opened().to_json())
    await send(kafka, *(payment(each, name=f"damaged-{each}").to_json() for each in range(3)))
    await send(kafka, payment(5).to_json())
    await asyncio.to_thread(own_broker.stop)
    (segment,) = (tmp_path / "kafka" / "topics" / f"{EVENTS}-0").glob("*.log")
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b"damaged-1", b"dAmaged-1"))
    await asyncio.to_thread(own_broker.start)
    with running("worker", environment(kafka, model, tmp_path), tmp_path / "worker.log") as worker:
        await wait_until_drained(kafka, worker)
        assert await metric(worker, "riskmon_events_total") == 2
        assert await metric(worker, "riskmon_dead_letters_total", reason="undecodable") == 3
    assert "its offsets 1 to 3 are passed over" in worker.log.read_text()
    _, refused = await assert_as_uninterrupted(kafka, model)
    assert [each.record.offset for each in refused] == [1, 2, 3]
