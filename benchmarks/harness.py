"""Starting a system on a Kafka of its own, feeding it, and measuring it from outside, the same way for every system."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from benchmarks.material import Material
from producers.faults import OutgoingRecord
from streams.command.local_kafka.broker import LocalBroker, free_port
from streams.contracts.actions import Action
from streams.contracts.topics import ACTIONS, EVENTS, MODELS
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection

GROUP = "riskmon"
ROOT = Path(__file__).parent.parent
# What `make compiled` writes, and what the image holds.
COMPILED = ROOT / "build" / "compiled"
_POLL_SECONDS = 0.1
_PACE_SECONDS = 0.005
_PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class System:
    """A system under test: how it is started, in which folder, and how many copies of the base stream it drains."""

    name: str
    module: str
    copies: int
    store: str = "memory"
    workers: int = 1
    standbys: int = 1
    code: Path = Path()

    @property
    def has_lasting_state(self) -> bool:
        """Whether its state outlives the process."""
        return self.module in ("streams.command", "benchmarks.rivals.quix")

    def commands(self, kafka: Connection, material: Material, home: Path) -> list[tuple[list[str], dict[str, str]]]:
        """Command and extra environment of each process."""
        if self.module == "streams.command":
            return [self._worker(kafka, material, home / str(number)) for number in range(self.workers)]
        command = [sys.executable, "-m", self.module, "--bootstrap", kafka.bootstrap, "--group", GROUP]
        if self.module != "benchmarks.rivals.ceiling":
            command += ["--material", str(material.folder)]
        if self.module == "benchmarks.rivals.quix":
            command += ["--state", str(home / "quix")]
        return [(command, {})]

    def _worker(self, kafka: Connection, material: Material, home: Path) -> tuple[list[str], dict[str, str]]:
        command = [sys.executable, "-m", "streams.command", "worker", "--metrics-port", str(free_port())]
        return command, {
            "RISKMON_BOOTSTRAP": kafka.bootstrap,
            "RISKMON_APPLICATION": GROUP,
            "RISKMON_MODEL_DIR": str(material.model_dir),
            "RISKMON_STORE": self.store,
            "RISKMON_DAYS_AHEAD": "unlimited",
            "RISKMON_STANDBY_COPIES": str(self.standbys),
            "RISKMON_STATE_DIR": str(home / "faust"),
        }


RISKMON = System("riskmon", "streams.command", copies=60, code=COMPILED)
QUIX = System("Quix Streams", "benchmarks.rivals.quix", copies=8)
BY_HAND = System("aiokafka by hand", "benchmarks.rivals.by_hand", copies=1)
CEILING = System("JSON decoding only", "benchmarks.rivals.ceiling", copies=150)


class Running:
    """The processes of a system: their CPU time and memory as the kernel counts them."""

    def __init__(self, children: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
        self.children = children
        self._processes = [psutil.Process(child.pid) for child in children]
        self._log = log

    def cpu_seconds(self) -> float:
        """User and system time of all of them, in seconds."""
        times = [process.cpu_times() for process in self._processes]
        return float(sum(spent.user + spent.system for spent in times))

    def resident_bytes(self) -> int:
        """Resident memory of all of them."""
        return sum(process.memory_info().rss for process in self._processes)

    def assert_running(self) -> None:
        """Exit with the end of the log if one has ended."""
        if any(child.poll() is not None for child in self.children):
            raise SystemExit(f"a process ended by itself:\n{self._log.read_text(errors='replace')[-3000:]}")


@contextmanager
def kafka_with_topics(material: Material, partitions: int) -> Iterator[LocalBroker]:
    """A fresh broker with riskmon's topics and the online models on theirs."""
    with tempfile.TemporaryDirectory() as folder, LocalBroker(Path(folder) / "kafka", port=0, heap_mb=1024) as broker:
        asyncio.run(_set_up(broker.connection, material, partitions))
        yield broker


@contextmanager
def running(system: System, broker: LocalBroker, material: Material) -> Iterator[Running]:
    """The system at work until the block ends."""
    with tempfile.TemporaryDirectory() as home, (Path(home) / "log").open("wb") as log:
        children = [
            subprocess.Popen(command, cwd=system.code, env=os.environ | _ONE_THREAD | extra, stdout=log, stderr=log)
            for command, extra in system.commands(broker.connection, material, Path(home))
        ]
        try:
            yield Running(children, Path(home) / "log")
        finally:
            for child in children:
                child.terminate()
            for child in children:
                try:
                    child.wait(30)
                except subprocess.TimeoutExpired:
                    child.kill()


# One core each, so that a system's numeric libraries do not take the broker's.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


async def publish_all(kafka: Connection, records: Iterable[OutgoingRecord], rate: float = 0) -> int:
    """Publish in order, as fast as it goes or evenly at a rate a second; returns the count when all is acknowledged."""
    count, started, sent = 0, time.monotonic(), []
    async with kafka.producer(linger_ms=0 if rate else 20, max_batch_size=256 << 10) as producer:
        for record in records:
            if rate and count >= rate * (time.monotonic() - started):
                await asyncio.sleep(_PACE_SECONDS)
            sent.append(await producer.send(EVENTS, record.value, record.key, partition=record.partition))
            count += 1
            if len(sent) >= 20_000:
                await asyncio.gather(*sent)
                sent.clear()
        await asyncio.gather(*sent)
    return count


@asynccontextmanager
async def progress(kafka: Connection) -> AsyncIterator[Progress]:
    """How far the system's group has committed, asked over one connection."""
    admin = kafka.admin()
    await admin.start()
    try:
        yield Progress(admin)
    finally:
        await admin.close()


class Progress:
    """Committed records of the events topic."""

    def __init__(self, admin: AIOKafkaAdminClient) -> None:
        self._admin = admin

    async def committed(self) -> int:
        """Records committed over all partitions."""
        try:
            found = await self._admin.list_consumer_group_offsets(GROUP)
        except KafkaError:
            return 0
        return sum(meta.offset for tp, meta in found.items() if tp.topic == EVENTS and meta.offset > 0)

    async def until(self, count: int, system: Running) -> int:
        """Wait until at least that many are committed; returns how many are."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (done := await self.committed()) < count:
            system.assert_running()
            if time.monotonic() > deadline:
                raise SystemExit(f"only {done} of {count} records were committed in {_PATIENCE_SECONDS} s")
            await asyncio.sleep(_POLL_SECONDS)
        return done


async def action_delays(kafka: Connection, since: float) -> list[float]:
    """Seconds from publication of the causing event to the action's arrival in Kafka, for causes since that time."""
    consumer = kafka.consumer(ACTIONS, auto_offset_reset="earliest")
    delays: list[float] = []
    async with consumer:
        while batches := await consumer.getmany(timeout_ms=1500):
            for message in (each for batch in batches.values() for each in batch):
                published = Action.model_validate_json(message.value).published_at.timestamp()
                if published >= since:
                    delays.append(message.timestamp / 1000 - published)
    return delays


async def _set_up(kafka: Connection, material: Material, partitions: int) -> None:
    admin = kafka.admin()
    await admin.start()
    try:
        # The broker's own clock says when an action can be read.
        arrival = {"message.timestamp.type": "LogAppendTime"}
        await admin.create_topics([NewTopic(ACTIONS, partitions, 1, topic_configs=arrival)])
    finally:
        await admin.close()
    await ensure_topics(kafka, GROUP, partitions, 1)
    async with kafka.producer() as producer:
        snapshot = (material.folder / "snapshot.json").read_bytes()
        await producer.send_and_wait(MODELS, snapshot, b"online", partition=0)
