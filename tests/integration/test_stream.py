"""The whole stream on a real Kafka, with workers killed by SIGKILL, against the pure core in a plain loop."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from models import store
from producers.faults import FaultConfig, FaultTally
from producers.publisher import publish, simulated_records
from producers.simulator import SimulationConfig
from streams.broker import LocalBroker, free_port
from streams.engine import CLOCK_PREFIX, Record, Rules
from streams.messages import Action
from streams.offline import run_offline
from streams.progress import committed_offsets
from streams.scoring import ScoreBook
from streams.state import decode_state
from streams.topics import ACTIONS, DEADLETTER, EVENTS, changelog_name, ensure_topics

KILLS = 3


@contextmanager
def worker(
    broker: LocalBroker, model: Path, log: Path, application: str = "riskmon"
) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "RISKMON_BOOTSTRAP": broker.bootstrap,
        "RISKMON_MODEL_DIR": str(model),
        "RISKMON_SESSION_SECONDS": "6",
        "RISKMON_APPLICATION": application,
        "RISKMON_HOME": str(log.parent / "new" / "home"),
    }
    command = [sys.executable, "-m", "streams.cli", "worker", "--metrics-port", str(free_port())]
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


async def read_all(bootstrap: str, topic: str) -> list[Record]:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        parts = [TopicPartition(topic, each) for each in sorted(await partitions_of(bootstrap, topic))]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        records: list[Record] = []
        for part in parts:
            consumer.seek(part, 0)
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for messages in (await consumer.getmany(timeout_ms=300)).values():
                records.extend(Record(m.partition, m.offset, m.key, m.value, m.timestamp) for m in messages)
    return records


async def partitions_of(bootstrap: str, topic: str) -> set[int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
        return {each["partition"] for each in described["partitions"]}
    finally:
        await admin.close()


async def committed(bootstrap: str) -> int:
    return sum((await committed_offsets(bootstrap, "riskmon", EVENTS)).values())


async def wait_for(bootstrap: str, offset: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while await committed(bootstrap) < offset:
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forest")
    train = [sys.executable, "-m", "streams.cli", "train", "--out", str(folder), "--borrowers", "400", "--days", "360"]
    subprocess.run(train, check=True, capture_output=True)
    return folder


async def test_killed_workers_lose_nothing_and_count_nothing_twice(
    broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    bootstrap, log, tally = broker.bootstrap, tmp_path / "worker.log", FaultTally()
    await ensure_topics(bootstrap, "riskmon", 4, 1)
    simulation = SimulationConfig(borrowers=300, days=200, seed=11)
    faults = FaultConfig(duplicates=0.03, disorder=0.03, malformed=0.02)
    published = await publish(bootstrap, EVENTS, simulated_records(simulation, faults, tally))

    for kill in range(1, KILLS + 1):
        with worker(broker, model, log) as process:
            # From the moment some offsets are committed, kill at an arbitrary point of the work in progress.
            await wait_for(bootstrap, published.count * kill // (KILLS + 2), process, log)
            process.send_signal(signal.SIGKILL)
            process.wait()
    with worker(broker, model, log) as process:
        await wait_for(bootstrap, published.count, process, log)

    records = await read_all(bootstrap, EVENTS)
    assert len(records) == published.count
    expected: dict[str, bytes] = {}
    served = store.load(model)
    book = ScoreBook(served.forest, served.segmenter)
    results = list(run_offline(records, book, Rules(), expected))

    rows = {(r.key or b"").decode(): r.value for r in await read_all(bootstrap, changelog_name("riskmon"))}
    assert {key for key in rows if not key.startswith(CLOCK_PREFIX)} == {
        key for key in expected if not key.startswith(CLOCK_PREFIX)
    }
    for key, row in rows.items():
        if not key.startswith(CLOCK_PREFIX):
            found, wanted = decode_state(row or b""), decode_state(expected[key])
            assert (found.account, found.watch) == (wanted.account, wanted.watch)
            assert found.applied_offset == wanted.applied_offset

    sent: dict[str, Action] = {}
    for record in await read_all(bootstrap, ACTIONS):
        action = Action.model_validate_json(record.value or b"")
        undated = action.model_copy(update={"decided_at": action.occurred_at})
        assert sent.setdefault(action.action_id, undated) == undated
    decided = {each.action_id: each for result in results for each in result.actions}
    assert sent.keys() == decided.keys()
    assert all(decided[name].strategy is action.strategy for name, action in sent.items())
    assert {action.strategy.value for action in sent.values()} >= {"settlement_offer", "aggressive_recovery"}

    dead = {(d.record.partition, d.record.offset) for result in results for d in result.dead_letters}
    origins = set()
    async with AIOKafkaConsumer(DEADLETTER, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        while len(origins) < len(dead):
            message = await asyncio.wait_for(consumer.getone(), 10)
            headers = {name: value.decode() for name, value in message.headers}
            assert headers["riskmon-reason"]
            origins.add((int(headers["riskmon-partition"]), int(headers["riskmon-offset"])))
    assert origins == dead
    assert len(dead) == sum(tally.malformed.values()) > 0


async def test_a_state_that_cannot_be_read_stops_the_worker(broker: LocalBroker, model: Path, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    await ensure_topics(broker.bootstrap, "broken", 4, 1)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        await producer.send_and_wait(changelog_name("broken"), b"no state", b"B1", partition=0)
    with worker(broker, model, log, application="broken") as process:
        assert await asyncio.to_thread(process.wait, 60) != 0
    assert "the recovered state could not be loaded" in log.read_text()


def test_kcat_reads_the_actions(broker: LocalBroker) -> None:
    """Runs after the stream has written them: the topic is readable with the tool SREs have."""
    kcat = shutil.which("kcat")
    assert kcat, "kcat is not installed; on Debian or Ubuntu: apt install kcat"
    command = [kcat, "-b", broker.bootstrap, "-t", ACTIONS, "-C", "-e", "-q"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert lines
    assert all(Action.model_validate_json(line).reasons is not None for line in lines)
