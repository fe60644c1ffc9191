"""Chaos on a real broker: workers killed, suspended, joining and leaving, the broker killed; then the oracle looks.

The events come in all five codecs, between transactions that are aborted, one of them left open for a while.
`make faults` runs it long: 20,000 events, 20 kills of workers, 60 suspensions past the session, 5 kills of the broker.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from aiokafka import AIOKafkaProducer

from producers.faults import FaultConfig, FaultTally, OutgoingRecord
from producers.publisher import simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.topics import EVENTS
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from tests.support.oracle import assert_as_uninterrupted
from tests.support.processes import Process, committed, environment, read_all

# Small batches make the work long enough to be interrupted many times.
_CODECS = (None, "gzip", "snappy", "lz4", "zstd")
_PUBLISHED_AT_ONCE = 300
_BATCH = {"RISKMON_BATCH_RECORDS": "40", "RISKMON_COMMIT_SECONDS": "0.2"}


@dataclass(frozen=True)
class Plan:
    """How much there is to do, and how often it is disturbed."""

    borrowers: int
    days: int
    kills: int
    broker_kills: int
    suspensions: int
    guests: int

    def disturbances(self, draw: Random) -> list[str]:
        each = ["kill"] * self.kills + ["suspend"] * self.suspensions + ["guest"] * self.guests
        each += ["broker"] * self.broker_kills
        draw.shuffle(each)
        return each


SHORT = Plan(borrowers=300, days=200, kills=4, broker_kills=1, suspensions=1, guests=1)
LONG = Plan(borrowers=1200, days=400, kills=20, broker_kills=5, suspensions=60, guests=4)


class Crew:
    """Two workers on one group, one with its rows in memory and one in RocksDB, and a third that comes and goes."""

    def __init__(self, kafka: Connection, model: Path, folder: Path) -> None:
        self._kafka, self._model, self._folder = kafka, model, folder
        self.members: dict[str, Process] = {}
        self.revived = 0

    def start(self, name: str) -> None:
        env = environment(self._kafka, self._model, self._folder / name) | _BATCH
        env["RISKMON_STORE"] = "memory" if name == "first" else "rocksdb"
        self.members[name] = Process("worker", env, self._folder / f"{name}.log")

    def signal(self, name: str, number: signal.Signals) -> None:
        self.members[name].child.send_signal(number)

    def kill(self, name: str) -> None:
        self.signal(name, signal.SIGKILL)
        self.members.pop(name).child.wait()

    def leave(self, name: str) -> None:
        self.members.pop(name).stop()

    def revive(self) -> None:
        """What a supervisor does: start again who gave up, as a worker does that starts while Kafka goes away."""
        for name, process in list(self.members.items()):
            if process.child.poll() is not None:
                self.revived += 1
                assert self.revived < 20, process.tail()
                self.start(name)

    async def work_off(self, kafka: Connection, count: int) -> None:
        """Until that many records are committed."""
        deadline = time.monotonic() + 180
        while await committed(kafka) < count:
            self.revive()
            assert time.monotonic() < deadline, {name: p.tail() for name, p in self.members.items()}
            await asyncio.sleep(0.05)

    def end(self) -> None:
        for name in list(self.members):
            self.leave(name)


class Chaos:
    """Disturbs a crew while it works off the topic."""

    def __init__(self, broker: LocalBroker, crew: Crew, draw: Random) -> None:
        self._broker, self._crew, self._draw = broker, crew, draw

    async def disturb(self, what: str) -> None:
        steps: dict[str, Callable[[], object]] = {
            "kill": self._kill,
            "suspend": self._suspend,
            "guest": self._guest,
            "broker": self._kill_broker,
        }
        await steps[what]()  # type: ignore[misc]

    async def _kill(self) -> None:
        name = self._draw.choice(["first", "second"])
        self._crew.kill(name)
        self._crew.start(name)

    async def _suspend(self) -> None:
        """Longer than the session: the others take over, and the sleeper wakes up as a zombie in mid-work."""
        name = self._draw.choice(["first", "second"])
        self._crew.signal(name, signal.SIGSTOP)
        await asyncio.sleep(self._draw.uniform(4, 7))
        self._crew.signal(name, signal.SIGCONT)

    async def _guest(self) -> None:
        self._crew.start("guest")
        await asyncio.sleep(self._draw.uniform(3, 7))
        self._crew.leave("guest")

    async def _kill_broker(self) -> None:
        await asyncio.to_thread(self._broker.kill)
        await asyncio.sleep(self._draw.uniform(0, 6))
        await asyncio.to_thread(self._broker.start)


@pytest.mark.timeout(3000)
async def test_faults_leave_no_trace(own_broker: LocalBroker, model: Path, tmp_path: Path, long: bool) -> None:
    plan, draw = (LONG if long else SHORT), Random(os.environ.get("RISKMON_TEST_SEED", "1"))
    kafka, tally = own_broker.connection, FaultTally()
    await ensure_topics(kafka, "riskmon", 4, 1)
    simulation = SimulationConfig(borrowers=plan.borrowers, days=plan.days, seed=11)
    faults = FaultConfig(duplicates=0.03, disorder=0.03, malformed=0.02)
    records = list(simulated_records(simulation, faults, tally))
    left_open = await publish_in_all_ways(kafka, records)
    crew = Crew(kafka, model, tmp_path)
    disturbances = plan.disturbances(draw)
    try:
        await work_disturbed(Chaos(own_broker, crew, draw), crew, kafka, disturbances, len(records), left_open)
    finally:
        crew.end()
    actions, refused = await assert_as_uninterrupted(kafka, model)
    assert len(refused) == sum(tally.malformed.values()) > 0
    assert {action.strategy.value for action in actions.values()} >= {"settlement_offer", "aggressive_recovery"}
    told = {
        "events": len(records),
        "actions": len(actions),
        "dead letters": len(refused),
        "workers started again": crew.revived,
    }
    print(told, dict(Counter(disturbances)), file=sys.stderr)


async def publish_in_all_ways(kafka: Connection, records: Sequence[OutgoingRecord]) -> AIOKafkaProducer:
    """Publish in all codecs, with payments among them that are taken back; the last of these is left open."""
    left_open = kafka.producer(transactional_id="left-open", transaction_timeout_ms=600_000)
    await left_open.start()
    for number, at in enumerate(range(0, len(records), _PUBLISHED_AT_ONCE)):
        chunk = records[at : at + _PUBLISHED_AT_ONCE]
        codec = _CODECS[number % len(_CODECS)]
        async with kafka.producer(compression_type=codec) as producer:
            for record in chunk:
                await producer.send(EVENTS, record.value, record.key, partition=record.partition)
            await producer.flush()
        if at <= len(records) // 3 < at + _PUBLISHED_AT_ONCE:
            await left_open.begin_transaction()
            await send_and_wait(left_open, false_payments(chunk))
        elif number % 3 == 0:
            async with kafka.producer(transactional_id=f"aborted-{number}", compression_type=codec) as producer:
                await producer.begin_transaction()
                await send_and_wait(producer, false_payments(chunk))
                await producer.abort_transaction()
    return left_open


async def send_and_wait(producer: AIOKafkaProducer, records: Sequence[OutgoingRecord]) -> None:
    assert records
    for record in records:
        await producer.send_and_wait(EVENTS, record.value, record.key, partition=record.partition)


def false_payments(records: Sequence[OutgoingRecord]) -> list[OutgoingRecord]:
    """Payments nobody has made, which would change each state they were applied to."""
    real = [record for record in records if b'"type":"payment_received"' in record.value.replace(b" ", b"")]
    events = [(record, json.loads(record.value)) for record in real[:10]]
    return [
        record._replace(value=json.dumps(event | {"event_id": f"{event['event_id']}-false"}).encode())
        for record, event in events
    ]


async def visible(kafka: Connection) -> int:
    """What is committed once all is done: behind an aborted record nothing can be acknowledged."""
    ends = {record.partition: record.offset + 1 for record in await read_all(kafka, EVENTS)}
    return sum(ends.values())


async def work_disturbed(
    chaos: Chaos,
    crew: Crew,
    kafka: Connection,
    disturbances: list[str],
    total: int,
    left_open: AIOKafkaProducer,
) -> None:
    """Each disturbance strikes while there is work in progress: after some more of it was committed."""
    crew.start("first")
    crew.start("second")
    for number, what in enumerate(disturbances):
        await crew.work_off(kafka, 2 * total * number // (3 * len(disturbances)))
        await asyncio.sleep(chaos._draw.uniform(0, 0.3))
        assert await committed(kafka) < total, "all work was done before the last disturbance"
        await chaos.disturb(what)
        if number == len(disturbances) // 4:
            await left_open.abort_transaction()
            await left_open.stop()
    await crew.work_off(kafka, await visible(kafka))
