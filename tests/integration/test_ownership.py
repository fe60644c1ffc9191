"""Workers suspended, failing or hanging between any two steps of a batch, on a real broker; then the oracle looks."""

import asyncio
import signal
import sys
import time
from pathlib import Path

import pytest

from producers.faults import FaultConfig, FaultTally, OutgoingRecord
from producers.publisher import publish, simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.account.codec import decode_state
from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.topics import ACTIONS, EVENTS, changelog_name
from streams.kafka.admin import ensure_topics
from streams.kafka.changelog import Row, write_as_administrator
from streams.kafka.connection import Connection
from streams.kafka.producer import Sink
from tests.integration.test_hard_times import ask, until_ready_is
from tests.support.oracle import assert_as_uninterrupted, rows_that_count
from tests.support.processes import Process, environment, read_all, running, wait_for_commit

FROZEN_AT = ("rows", "store", "messages", "commit", "claim")
FAILING_AT = ("decide", "letters", "rows", "store", "messages")
# A failed worker has ten seconds, and Python needs some to end.
_END_SECONDS = 20


class Stage:
    """A topic that gets its events slice by slice, and workers that take orders."""

    def __init__(self, kafka: Connection, model: Path, folder: Path, slices: int) -> None:
        self.kafka, self._model, self._folder = kafka, model, folder
        simulation = SimulationConfig(borrowers=120, days=160, seed=17)
        faults = FaultConfig(duplicates=0.03, disorder=0.03, malformed=0.03)
        records: list[OutgoingRecord] = list(simulated_records(simulation, faults, FaultTally()))
        size = -(-len(records) // slices)
        self._slices = [records[at : at + size] for at in range(0, len(records), size)]
        self.published = 0
        self.workers: dict[str, Process] = {}
        self._stores: dict[str, str] = {}

    async def publish_slice(self) -> None:
        self.published += (await publish(self.kafka, EVENTS, self._slices.pop(0))).count

    def start(self, name: str, store: str = "") -> Process:
        """Start a worker, or start it again with the store it had."""
        self._stores[name] = store or self._stores[name]
        env = environment(self.kafka, self._model, self._folder / name) | {
            "RISKMON_STORE": self._stores[name],
            "RISKMON_BATCH_RECORDS": "60",
            "RISKMON_COMMIT_SECONDS": "0.2",
        }
        launcher = [sys.executable, "-m", "tests.integration.sabotage", str(self.order_of(name))]
        self.workers[name] = Process("worker", env, self._folder / f"{name}.log", launcher)
        return self.workers[name]

    def end(self) -> None:
        for process in self.workers.values():
            if process.child.poll() is None:
                process.stop()

    def order_of(self, name: str) -> Path:
        return self._folder / f"{name}.order"


async def until_suspended(process: Process) -> None:
    async with asyncio.timeout(60):
        while "State:\tT" not in Path(f"/proc/{process.child.pid}/status").read_text():
            process.assert_running()
            await asyncio.sleep(0.05)


async def count_of(kafka: Connection, topic: str) -> int:
    return len(await read_all(kafka, topic))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_a_worker_frozen_at_any_step_past_its_session_leaves_no_trace(
    own_broker: LocalBroker, model: Path, tmp_path: Path, store: str, long: bool
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 4, 1)
    steps = FROZEN_AT * (3 if long else 1)
    stage = Stage(kafka, model, tmp_path, len(steps) + 2)
    sleeper = stage.start("sleeper", store)
    stage.start("other", "rocksdb" if store == "memory" else "memory")
    try:
        for process in stage.workers.values():
            await until_ready_is(process, 200)
        await stage.publish_slice()
        await wait_for_commit(kafka, stage.published, *stage.workers.values())
        for step in steps:
            await freeze_and_wake(stage, step)
        # It owns every partition again, its own stale writes and all that the other wrote meanwhile behind it.
        stage.workers["other"].stop()
        await stage.publish_slice()
        await wait_for_commit(kafka, stage.published, sleeper)
    finally:
        stage.end()
    actions, refused = await assert_as_uninterrupted(kafka, model)
    assert actions
    assert refused


async def freeze_and_wake(stage: Stage, step: str) -> None:
    sleeper = stage.workers["sleeper"]
    if step == "claim":
        # It claims when it takes partitions over.
        stage.workers["other"].stop()
        stage.order_of("sleeper").write_text("freeze claim")
        stage.start("other")
    else:
        stage.order_of("sleeper").write_text(f"freeze {step}")
    await stage.publish_slice()
    await until_suspended(sleeper)
    await wait_for_commit(stage.kafka, stage.published, stage.workers["other"])
    sent = await count_of(stage.kafka, ACTIONS)
    sleeper.child.send_signal(signal.SIGCONT)
    await until_ready_again(sleeper)
    if step in ("rows", "claim"):
        assert await count_of(stage.kafka, ACTIONS) == sent, "the zombie sent actions of rows that do not count"


async def until_ready_again(process: Process) -> None:
    """Ready for a while: at first it does not know yet that it was given up."""
    ready_since = None
    async with asyncio.timeout(90):
        while ready_since is None or time.monotonic() - ready_since < 3:
            status, _ = await asyncio.to_thread(ask, process, "/readyz")
            process.assert_running()
            ready_since = (ready_since or time.monotonic()) if status == 200 else None
            await asyncio.sleep(0.2)


@pytest.mark.timeout(600)
async def test_a_worker_whose_batch_fails_at_any_step_ends_and_its_restart_goes_on_exactly(
    own_broker: LocalBroker, model: Path, tmp_path: Path, long: bool
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 4, 1)
    steps = FAILING_AT * (4 if long else 1)
    stage = Stage(kafka, model, tmp_path, len(steps) + 2)
    for number, step in enumerate(steps):
        worker = stage.start("worker", "rocksdb" if number % 2 else "memory")
        await until_ready_is(worker, 200)
        stage.order_of("worker").write_text(f"fail {step}")
        await stage.publish_slice()
        assert await asyncio.to_thread(worker.child.wait, _END_SECONDS) != 0, worker.tail()
        assert f"sabotage of {step}" in worker.log.read_text(errors="replace"), worker.tail()
    hanging = stage.start("worker", "memory")
    await until_ready_is(hanging, 200)
    # What nobody ever answers, as by a consumer thread that has left: a signal ends it all the same.
    stage.order_of("worker").write_text("hang commit")
    await stage.publish_slice()
    async with asyncio.timeout(30):
        while stage.order_of("worker").exists():
            await asyncio.sleep(0.1)
    hanging.stop()
    with running("worker", environment(kafka, model, tmp_path / "last"), tmp_path / "last.log") as last:
        await stage.publish_slice()
        await wait_for_commit(kafka, stage.published, last)
    await assert_as_uninterrupted(kafka, model)


async def test_a_worker_whose_batch_failed_is_not_healthy_until_it_has_ended(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    await ensure_topics(own_broker.connection, "riskmon", 4, 1)
    stage = Stage(own_broker.connection, model, tmp_path, 2)
    worker = stage.start("worker", "memory")
    await until_ready_is(worker, 200)
    stage.order_of("worker").write_text("fail rows")
    await stage.publish_slice()
    seen = set()
    while worker.child.poll() is None:
        seen.add((await asyncio.to_thread(ask, worker, "/healthz"))[0])
        await asyncio.sleep(0.02)
    assert 503 in seen


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_what_an_administrator_removes_is_gone_for_a_worker_at_work_and_for_good(
    own_broker: LocalBroker, model: Path, tmp_path: Path, store: str
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 4, 1)
    stage = Stage(kafka, model, tmp_path, 2)
    changelog = changelog_name("riskmon")
    # A tombstone without a row before it must not keep a worker from its work either.
    async with kafka.producer() as producer:
        await producer.send_and_wait(changelog, None, b"nobody", partition=2)
    try:
        worker = stage.start("worker", store)
        await stage.publish_slice()
        await wait_for_commit(kafka, stage.published, worker)
        rows = {key: decode_state(row) for key, row in (await rows_that_count(kafka)).items() if key[0] != "\x00"}
        removed = dict(list(rows.items())[:10])
        sink = Sink(kafka)
        tombstones = [Row(state.partition, key.encode(), None) for key, state in removed.items()]
        await write_as_administrator(sink, changelog, tombstones, "the test")
        await sink.close()
        # It notices by itself, with nothing to write.
        async with asyncio.timeout(30):
            while "the partitions are loaded anew" not in worker.log.read_text():
                await asyncio.sleep(0.1)
        await until_ready_again(worker)
        assert not removed.keys() & (await rows_that_count(kafka)).keys()
        await stage.publish_slice()
        await wait_for_commit(kafka, stage.published, worker)
        worker.stop()
        worker = stage.start("worker")
        await until_ready_is(worker, 200)
    finally:
        stage.end()
    left = await rows_that_count(kafka)
    # Their later events find no loan, unless it was opened only then.
    for key in removed.keys() & left.keys():
        assert decode_state(left[key]).account.loans != removed[key].account.loans


async def test_a_signal_ends_a_worker_whose_batch_waits_for_kafka(model: Path, tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path / "kafka", port=0)
    await asyncio.to_thread(broker.start)
    try:
        kafka = broker.connection
        await ensure_topics(kafka, "riskmon", 4, 1)
        stage = Stage(kafka, model, tmp_path, 2)
        worker = stage.start("worker", "memory")
        await until_ready_is(worker, 200)
        stage.order_of("worker").write_text("freeze rows")
        await stage.publish_slice()
        await until_suspended(worker)
        await asyncio.to_thread(broker.kill)
        worker.child.send_signal(signal.SIGCONT)
        await asyncio.sleep(2)
        began = time.monotonic()
        worker.child.terminate()
        await asyncio.to_thread(worker.child.wait, 30)
        assert time.monotonic() - began < _END_SECONDS + 5
        await asyncio.to_thread(broker.start)
        worker = stage.start("worker")
        await stage.publish_slice()
        await wait_for_commit(kafka, stage.published, worker)
        worker.stop()
        await assert_as_uninterrupted(kafka, model)
    finally:
        stage.end()
        broker.stop()
