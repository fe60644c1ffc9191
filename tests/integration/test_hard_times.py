"""Kafka away, a full disk, clocks that are wrong, a learner that stands still: what each part says and does then."""

import asyncio
import json
import resource
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

from producers.faults import FaultConfig, FaultTally
from producers.publisher import publish, simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.topics import EVENTS, LABELS
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from streams.kafka.group import committed_offsets
from tests.support.oracle import assert_as_uninterrupted
from tests.support.processes import Process, committed, environment, read_all, running, wait_for_commit

_FULL_AT_BYTES = 150_000


def ask(process: Process, path: str) -> tuple[int, list[str]]:
    """Status and problems of /healthz or /readyz; status 0 while nothing listens there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{process.metrics_port}{path}", timeout=5) as answer:
            return answer.status, json.loads(answer.read())["problems"]
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["problems"]
    except OSError:
        return 0, []


async def until_ready_is(process: Process, wanted: int, problem: str = "") -> None:
    async with asyncio.timeout(90):
        while True:
            status, problems = await asyncio.to_thread(ask, process, "/readyz")
            if status == wanted and (not problem or problem in problems):
                return
            process.assert_running()
            await asyncio.sleep(0.2)


async def publish_simulated(kafka: Connection, days: int, seed: int) -> int:
    simulation = SimulationConfig(borrowers=150, days=days, seed=seed)
    return (await publish(kafka, EVENTS, simulated_records(simulation, FaultConfig(), FaultTally()))).count


async def test_a_worker_waits_for_kafka_says_so_and_goes_on_by_itself(model: Path, tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path / "kafka", port=0)
    kafka = broker.connection
    # So seldom that only the stop itself can have committed what the end of this test finds.
    env = environment(kafka, model, tmp_path) | {"RISKMON_COMMIT_SECONDS": "60"}
    with running("worker", env, tmp_path / "worker.log") as worker:
        try:
            await until_ready_is(worker, 503, "broker away")
            assert await asyncio.to_thread(ask, worker, "/healthz") == (200, [])
            await asyncio.to_thread(broker.start)
            await until_ready_is(worker, 200)
            await asyncio.to_thread(broker.kill)
            await until_ready_is(worker, 503, "broker away")
            await asyncio.to_thread(broker.start)
            await until_ready_is(worker, 200)
            published = await publish_simulated(kafka, days=60, seed=3)
            await until_lag_is_gone(worker, published)
            worker.stop()
            assert await committed(kafka) == published
            await assert_as_uninterrupted(kafka, model)
        finally:
            broker.stop()


async def until_lag_is_gone(worker: Process, published: int) -> None:
    from monitoring.terminal.scrape import scrape

    async with asyncio.timeout(60):
        while True:
            samples = await asyncio.to_thread(scrape, worker.metrics_port, None)
            if sum(value for (name, _), value in samples.items() if name == "riskmon_events_total") >= published:
                return
            await asyncio.sleep(0.2)


async def test_full_disk_wrong_clocks_and_a_stalled_learner_leave_no_trace(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 4, 1)
    published = await publish_simulated(kafka, days=200, seed=6)
    env = environment(kafka, model, tmp_path) | {"RISKMON_STORE": "rocksdb", "RISKMON_BATCH_RECORDS": "100"}
    with running("learner", env, tmp_path / "learner.log") as learner:
        await until_ready_is(learner, 200)
        learner.child.send_signal(signal.SIGSTOP)
        await work_with_a_full_disk(env, tmp_path / "full.log")
        done = await committed(kafka)
        assert done < published
        await work_with_a_wrong_clock(kafka, env, 400, (done + published) // 2, tmp_path / "ahead.log")
        await work_with_a_wrong_clock(kafka, env, -400, published, tmp_path / "behind.log")
        await assert_as_uninterrupted(kafka, model)
        learner.child.send_signal(signal.SIGCONT)
        labels = len(await read_all(kafka, LABELS))
        async with asyncio.timeout(60):
            while sum((await committed_offsets(kafka, "riskmon-learner", LABELS)).values()) < labels:
                learner.assert_running()
                await asyncio.sleep(0.2)


async def work_with_a_full_disk(env: dict[str, str], log: Path) -> None:
    """No file may grow beyond the limit, which is an I/O error to the store as a full disk is."""

    def fill_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (_FULL_AT_BYTES, _FULL_AT_BYTES))

    process = Process("worker", env, log, before=fill_disk)
    assert await asyncio.to_thread(process.child.wait, 90) != 0
    assert "the batch failed; the worker stops" in log.read_text()
    assert "File too large" in log.read_text()


async def work_with_a_wrong_clock(kafka: Connection, env: dict[str, str], days: int, until: int, log: Path) -> None:
    with running("worker", env, log, [sys.executable, "-m", "tests.integration.wrong_clock", str(days)]) as worker:
        await wait_for_commit(kafka, until, worker)
