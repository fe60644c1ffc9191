"""The learner on a real Kafka: killed at work, beside an old snapshot and labels that are none."""

import asyncio
import json
import signal
import time
from pathlib import Path

from monitoring.terminal.scrape import scrape
from producers.faults import FaultConfig, FaultTally
from producers.publisher import publish, simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.alerts import Alert
from streams.contracts.snapshots import ModelSnapshot
from streams.contracts.topics import ALERTS, DEADLETTER, EVENTS, LABELS, MODELS
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from streams.kafka.group import committed_offsets
from streams.learner.state import LearnerState
from tests.support.lessons import drifting_labels
from tests.support.processes import Process, environment, read_all, running, wait_for_commit

COUNT = 1000


async def test_a_killed_learner_goes_on_and_workers_follow_it_unless_they_are_frozen(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka, log = own_broker.connection, tmp_path / "learner.log"
    await ensure_topics(kafka, "riskmon", 2, 1)
    labels = drifting_labels(COUNT)
    old = {"schema_version": 1, "model": {}, "blend": {}, "next_label_offset": 7, "learnt_to": {}}
    async with kafka.producer() as producer:
        await producer.send_and_wait(MODELS, json.dumps(old).encode(), b"online")
        await producer.send_and_wait(LABELS, b"no label", b"B1")
        for label in labels[: COUNT // 2]:
            await producer.send(LABELS, label.model_dump_json().encode(), label.borrower_id.encode())
        await producer.flush()
        env = environment(kafka, model, tmp_path)
        with running("learner", env, log) as learner:
            await wait_for_labels(kafka, 1, learner)
            for label in labels[COUNT // 2 :]:
                await producer.send(LABELS, label.model_dump_json().encode(), label.borrower_id.encode())
            await producer.flush()
            learner.child.send_signal(signal.SIGKILL)
            learner.child.wait()
    with running("learner", env, log) as learner:
        await wait_for_labels(kafka, COUNT + 1, learner)

    state = LearnerState()
    alerts = [alert for offset, each in enumerate(labels, start=1) for alert in state.learn(each, offset).alerts]
    newest = (await read_all(kafka, MODELS))[-1].value
    assert ModelSnapshot.model_validate_json(newest or b"") == state.snapshot()
    told = {
        alert.alert_id: alert
        for alert in (Alert.model_validate_json(each.value or b"") for each in await read_all(kafka, ALERTS))
    }
    assert told == {alert.alert_id: alert for alert in alerts}
    assert "forest" in {alert.subject for alert in alerts}
    assert [each.value for each in await read_all(kafka, DEADLETTER)] == [b"no label"]
    assert "the newest snapshot is not usable, learning starts over: schema_version" in log.read_text()
    assert "log loss of forest rose" in log.read_text()

    simulation = SimulationConfig(borrowers=20, days=60, partitions=2)
    events = list(simulated_records(simulation, FaultConfig(), FaultTally()))
    half = len(events) // 2
    for online, part, learnt in (("true", events[:half], COUNT), ("false", events[half:], 0)):
        with running("worker", env | {"RISKMON_ONLINE": online}, tmp_path / "worker.log") as worker:
            await publish(kafka, EVENTS, part)
            await wait_for_commit(kafka, len(part) if online == "true" else len(events), worker)
            samples = await asyncio.to_thread(scrape, worker.metrics_port, None)
            assert samples["riskmon_online_model_labels", ()] == learnt


async def wait_for_labels(kafka: Connection, count: int, learner: Process) -> None:
    deadline = time.monotonic() + 90
    while sum((await committed_offsets(kafka, "riskmon-learner", LABELS)).values()) < count:
        learner.assert_running()
        assert time.monotonic() < deadline, learner.tail()
        await asyncio.sleep(0.1)
