"""/healthz says 503 where only a restart helps, and not while riskmon waits for Kafka."""

import asyncio
import signal
import sys
import time
from pathlib import Path

import pytest

from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.topics import EVENTS
from streams.kafka.admin import ensure_topics
from tests.integration.test_hard_times import ask, publish_simulated, until_ready_is
from tests.support.factories import opened
from tests.support.processes import Process, environment, running, wait_for_commit

BROKEN = [sys.executable, "-m", "tests.integration.broken"]


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ("batch hangs", "a batch stands still"),
        ("batch fails", "the worker has failed"),
        ("recovery hangs", "the recovery stands still"),
        ("recovery fails", "the worker has failed"),
        ("learner hangs", "the learner stands still"),
        ("learner fails", ""),
    ],
)
async def test_a_part_that_hangs_or_fails_is_told_or_ends_the_process(
    own_broker: LocalBroker, model: Path, tmp_path: Path, part: str, problem: str
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 1, 1)
    async with kafka.producer() as producer:
        await producer.send_and_wait(EVENTS, opened().to_json(), b"B1")
    env = environment(kafka, model, tmp_path) | {"RISKMON_STUCK_SECONDS": "5"}
    process = Process(
        part.split()[0].replace("batch", "worker").replace("recovery", "worker"), env, tmp_path / "log", [*BROKEN, part]
    )
    try:
        deadline = time.monotonic() + 150
        told: list[str] = []
        while process.child.poll() is None and not told:
            assert time.monotonic() < deadline, process.tail()
            status, told = await asyncio.to_thread(ask, process, "/healthz")
            assert (status == 503) == bool(told)
            await asyncio.sleep(0.2)
        if part.endswith("hangs"):
            assert told == [problem], process.tail()
        else:
            assert told == [problem] or process.child.wait() != 0
            assert "nobody thought of this" in process.log.read_text()
    finally:
        process.child.kill()
        process.child.wait()


async def test_a_broker_that_is_frozen_restarts_nobody(own_broker: LocalBroker, model: Path, tmp_path: Path) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 4, 1)
    env = environment(kafka, model, tmp_path) | {"RISKMON_STUCK_SECONDS": "10"}
    with (
        running("worker", env, tmp_path / "worker.log") as worker,
        running("learner", env, tmp_path / "learner.log") as learner,
    ):
        await until_ready_is(worker, 200)
        await until_ready_is(learner, 200)
        published = asyncio.create_task(publish_simulated(kafka, days=60, seed=3))
        await asyncio.sleep(1)
        assert own_broker._process is not None
        own_broker._process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(40):
                for process in (worker, learner):
                    assert await asyncio.to_thread(ask, process, "/healthz") == (200, [])
                await asyncio.sleep(1)
        finally:
            own_broker._process.send_signal(signal.SIGCONT)
        count = await published
        while (await asyncio.to_thread(ask, worker, "/readyz"))[0] != 200:
            assert await asyncio.to_thread(ask, worker, "/healthz") == (200, [])
            await asyncio.sleep(0.5)
        await wait_for_commit(kafka, count, worker, learner)
        assert await asyncio.to_thread(ask, learner, "/healthz") == (200, [])
