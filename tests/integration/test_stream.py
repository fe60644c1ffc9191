"""The whole stream on a real Kafka, with workers killed by SIGKILL, against the pure core in a plain loop."""

import asyncio
import signal
import subprocess
from pathlib import Path

from producers.faults import FaultConfig, FaultTally
from producers.publisher import publish, simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.actions import Action
from streams.contracts.topics import ACTIONS, EVENTS, changelog_name
from streams.kafka.admin import ensure_topics
from tests.support.machine import command
from tests.support.oracle import assert_as_uninterrupted
from tests.support.processes import environment, read_all, running, wait_for_commit

KILLS = 3


async def test_killed_workers_lose_nothing_and_count_nothing_twice(
    broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka, log, tally = broker.connection, tmp_path / "worker.log", FaultTally()
    env = environment(kafka, model, tmp_path / "new" / "home")
    await ensure_topics(kafka, "riskmon", 4, 1)
    simulation = SimulationConfig(borrowers=300, days=200, seed=11)
    faults = FaultConfig(duplicates=0.03, disorder=0.03, malformed=0.02)
    published = await publish(kafka, EVENTS, simulated_records(simulation, faults, tally))

    for kill in range(1, KILLS + 1):
        with running("worker", env, log) as process:
            # From the moment some offsets are committed, kill at an arbitrary point of the work in progress.
            await wait_for_commit(kafka, published.count * kill // (KILLS + 2), process)
            process.child.send_signal(signal.SIGKILL)
            process.child.wait()
    with running("worker", env, log) as process:
        await wait_for_commit(kafka, published.count, process)

    assert len(await read_all(kafka, EVENTS)) == published.count
    actions, refused = await assert_as_uninterrupted(kafka, model)
    assert {action.strategy.value for action in actions.values()} >= {"settlement_offer", "aggressive_recovery"}
    assert len(refused) == sum(tally.malformed.values()) > 0


async def test_a_state_that_cannot_be_read_stops_the_worker(broker: LocalBroker, model: Path, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    await ensure_topics(broker.connection, "broken", 4, 1)
    async with broker.connection.producer() as producer:
        await producer.send_and_wait(changelog_name("broken"), b"no state", b"B1", partition=0)
    env = environment(broker.connection, model, tmp_path) | {"RISKMON_APPLICATION": "broken"}
    with running("worker", env, log) as process:
        assert await asyncio.to_thread(process.child.wait, 60) != 0
    assert "the recovered state could not be loaded" in log.read_text()


def test_kcat_reads_the_actions(broker: LocalBroker) -> None:
    """Runs after the stream has written them: the topic is readable with the tool SREs have."""
    kcat = [command("kcat", "kcat"), "-b", broker.bootstrap, "-t", ACTIONS, "-C", "-e", "-q"]
    lines = subprocess.run(kcat, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert lines
    assert all(Action.model_validate_json(line).reasons is not None for line in lines)
