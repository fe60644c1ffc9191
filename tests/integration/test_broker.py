"""The local Kafka as a user meets it."""

import asyncio
import socket
import uuid
from pathlib import Path

import pytest

from streams.command.local_kafka.broker import LocalBroker
from streams.command.local_kafka.cache import BrokerError
from streams.contracts.topics import DEADLETTER
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection


def test_data_survives_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The cluster id that this gives starts with a dash, which the storage tool once took for an option.
    dashed = uuid.UUID(bytes=b"\xfb" * 16)
    monkeypatch.setattr(uuid, "uuid4", lambda: dashed)
    running = LocalBroker(tmp_path / "kafka", port=0, heap_mb=256)
    try:
        running.start()
        asyncio.run(_write(running.connection))
        running.stop()
        running.start()
        assert asyncio.run(_read(running.connection)) == b"kept"
    finally:
        running.stop()


async def _write(kafka: Connection) -> None:
    assert await ensure_topics(kafka, "riskmon", 3, 1) == 3
    async with kafka.producer() as producer:
        await producer.send_and_wait(DEADLETTER, b"kept")


async def _read(kafka: Connection) -> bytes | None:
    # An existing topic keeps its partitions, whatever is asked for now.
    assert await ensure_topics(kafka, "riskmon", 4, 1) == 3
    async with kafka.consumer(DEADLETTER, auto_offset_reset="earliest") as consumer:
        message = await consumer.getone()
    value: bytes | None = message.value
    return value


def test_a_used_port_is_found_out_and_said(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} is in use"):
            LocalBroker(tmp_path, port=port).start()
