"""The models topic between learners, workers, strangers and a person: progress never goes back."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streams.command.local_kafka.broker import LocalBroker
from streams.config.settings import Settings
from streams.contracts.labels import Label
from streams.contracts.snapshots import ModelSnapshot
from streams.contracts.topics import LABELS, MODELS
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from streams.kafka.group import committed_offsets
from streams.kafka.snapshots import HELD_KEY, ONLINE_KEY
from streams.learner.app import Learner, LearnerStoppedError
from streams.learner.progress import NoUsableSnapshotError
from streams.learner.state import LearnerState
from streams.score import ModelSet
from streams.worker.model_feed import ModelFeed
from tests.support.lessons import drifting_labels
from tests.support.processes import COMMAND, Process, environment, read_messages, running

COUNT = 600


@pytest.fixture(scope="module")
def labels() -> list[Label]:
    return drifting_labels(COUNT)


def snapshot_after(labels: list[Label]) -> ModelSnapshot:
    state = LearnerState()
    for offset, each in enumerate(labels):
        state.learn(each, offset)
    return state.snapshot()


async def send(kafka: Connection, topic: str, *values: bytes | None, key: bytes = ONLINE_KEY) -> None:
    async with kafka.producer() as producer:
        for value in values:
            await producer.send_and_wait(topic, value, key)


async def send_labels(kafka: Connection, labels: list[Label]) -> None:
    async with kafka.producer() as producer:
        for label in labels:
            await producer.send(LABELS, label.model_dump_json().encode(), label.borrower_id.encode())
        await producer.flush()


async def snapshots(kafka: Connection) -> list[tuple[bytes, int]]:
    """Key and progress of every snapshot on the topic, in order."""
    return [
        (message.key, json.loads(message.value)["next_label_offset"])
        for message in await read_messages(kafka, MODELS)
        if message.key in (ONLINE_KEY, HELD_KEY) and (message.value or b"").startswith(b'{"schema_version":2')
    ]


@asynccontextmanager
async def learning(settings: Settings) -> AsyncIterator[Learner]:
    """A learner in this process, which must not have ended by itself."""
    learner = Learner(settings)
    task = asyncio.create_task(learner.run())
    try:
        yield learner
        assert not task.done(), task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not (await result if asyncio.iscoroutine(result := holds()) else result):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)


def settings_of(broker: LocalBroker, **changes: Any) -> Settings:
    return Settings(bootstrap=broker.bootstrap, session_seconds=6, **changes)


async def test_garbage_behind_the_newest_snapshot_does_not_make_the_learner_start_over(
    own_broker: LocalBroker, labels: list[Label]
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 2, 1)
    await send_labels(kafka, labels)
    good = snapshot_after(labels[:500])
    nan = good.model_dump_json().replace('"online_weight":', '"online_weight":NaN,"x":').encode()
    await send(kafka, MODELS, good.model_dump_json().encode(), b"garbage", nan)
    await send(kafka, MODELS, *[b"{"] * 60, key=b"a stranger")
    async with learning(settings_of(own_broker)) as learner:
        await until(lambda: learner.state.labels_learnt == COUNT)
        await until(lambda: _last_is(kafka, (ONLINE_KEY, COUNT)))
    assert (await snapshots(kafka))[0] == (ONLINE_KEY, 500)
    assert all(progress >= 500 for _, progress in await snapshots(kafka))
    assert learner.state.snapshot() == snapshot_after(labels)


async def _last_is(kafka: Connection, wanted: tuple[bytes, int]) -> bool:
    found = await snapshots(kafka)
    return bool(found) and found[-1] == wanted


async def test_without_any_usable_snapshot_the_learner_stops_and_a_reset_lets_it_start_over(
    own_broker: LocalBroker, labels: list[Label]
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 2, 1)
    await send_labels(kafka, labels[:20])
    newer = {"schema_version": 3}
    await send(kafka, MODELS, b"garbage", json.dumps(newer).encode())
    with pytest.raises(NoUsableSnapshotError, match="riskmon models reset"):
        await asyncio.wait_for(Learner(settings_of(own_broker)).run(), 60)
    await asyncio.to_thread(models, kafka, "reset", "--yes")
    async with learning(settings_of(own_broker)) as learner:
        await until(lambda: learner.state.labels_learnt == 20)


async def test_labels_that_are_gone_stop_the_learner(own_broker: LocalBroker, labels: list[Label]) -> None:
    """The topic was made anew: new labels at the old offsets would never be learnt."""
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 2, 1)
    await send_labels(kafka, labels[:20])
    await send(kafka, MODELS, snapshot_after(labels[:100]).model_dump_json().encode())
    with pytest.raises(LearnerStoppedError, match="ends at 20, but labels up to 100 are learnt"):
        await asyncio.wait_for(Learner(settings_of(own_broker)).run(), 60)


async def test_a_stale_snapshot_is_covered_again_though_no_label_comes(
    own_broker: LocalBroker, labels: list[Label]
) -> None:
    """What a suspended learner writes late would else be the newest of its key, and the only one after compaction."""
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 2, 1)
    await send_labels(kafka, labels)
    feed = ModelFeed(kafka, ModelSet(None))
    following = asyncio.create_task(feed.run())
    try:
        async with learning(settings_of(own_broker)) as learner:
            await until(lambda: learner.state.labels_learnt == COUNT)
            await until(lambda: _last_is(kafka, (ONLINE_KEY, COUNT)))
            await until(lambda: feed.model_set.versions.online == COUNT)
            await send(kafka, MODELS, snapshot_after(labels[:100]).model_dump_json().encode())
            await until(lambda: _last_is(kafka, (ONLINE_KEY, COUNT)))
            await send(kafka, MODELS, b"garbage")
            await until(lambda: _last_is_usable(kafka))
            assert feed.model_set.versions.online == COUNT
        assert (ONLINE_KEY, 100) in await snapshots(kafka)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _last_is_usable(kafka: Connection) -> bool:
    return bool((await read_messages(kafka, MODELS))[-1].value != b"garbage")


async def test_a_learner_suspended_past_its_session_loses_no_progress(
    own_broker: LocalBroker, model: Path, tmp_path: Path, labels: list[Label]
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 2, 1)
    env = environment(kafka, model, tmp_path) | {"RISKMON_SESSION_SECONDS": "6"}
    with running("learner", env, tmp_path / "first.log") as first:
        await send_labels(kafka, labels[:200])
        await until(lambda: _committed(kafka, 100, first))
        # In the middle of its work, and then more labels come.
        first.child.send_signal(signal.SIGSTOP)
        await send_labels(kafka, labels[200:400])
        with running("learner", env, tmp_path / "second.log") as second:
            await until(lambda: _committed(kafka, 400, second))
            first.child.send_signal(signal.SIGCONT)
            await send_labels(kafka, labels[400:])
            await until(lambda: _committed(kafka, COUNT, first, second))
            await asyncio.sleep(5)
            first.assert_running()
            second.assert_running()
    assert (await snapshots(kafka))[-1][1] == COUNT
    newest = (await read_messages(kafka, MODELS))[-1].value
    assert ModelSnapshot.model_validate_json(newest or b"") == snapshot_after(labels)


async def _committed(kafka: Connection, count: int, *learners: Process) -> bool:
    for learner in learners:
        learner.assert_running()
    return sum((await committed_offsets(kafka, "riskmon-learner", LABELS)).values()) >= count


def models(kafka: Connection, *arguments: str) -> str:
    command = [*COMMAND, "models", *arguments, "--bootstrap", kafka.bootstrap]
    run = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


async def test_what_moves_the_scores_too_far_waits_for_a_person_and_then_goes_to_all(
    own_broker: LocalBroker, labels: list[Label]
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 2, 1)
    # So little that the first weight of the online model is too much.
    settings = settings_of(own_broker, snapshot_move=1e-9)
    feeds = [ModelFeed(kafka, ModelSet(None), settings.snapshot_move) for _ in range(2)]
    tasks = [asyncio.create_task(feed.run()) for feed in feeds]
    try:
        async with learning(settings) as learner:
            await send_labels(kafka, labels[:250])
            await until(lambda: all(feed.model_set.versions.online == 250 for feed in feeds))
            await send_labels(kafka, labels[250:])
            await until(lambda: _last_is(kafka, (HELD_KEY, COUNT)))
            # A worker that starts now serves the same as those that were there.
            late = ModelFeed(kafka, ModelSet(None), settings.snapshot_move)
            await late.catch_up()
            served = {(feed.model_set.versions.online, feed.model_set.online_weight) for feed in (*feeds, late)}
            assert len(served) == 1
            assert 250 <= served.pop()[0] < COUNT
            assert "held back" in await asyncio.to_thread(models, kafka, "list")
            await asyncio.to_thread(models, kafka, "accept", "--by", "head of risk")
            await until(lambda: all(feed.model_set.versions.online == COUNT for feed in feeds))
            await until(lambda: _last_is(kafka, (ONLINE_KEY, COUNT)))
            assert learner.state.labels_learnt == COUNT
        restarted = ModelFeed(kafka, ModelSet(None), settings.snapshot_move)
        await restarted.catch_up()
        assert restarted.model_set.versions.online == COUNT
        assert feeds[0].model_set.online_weight > 0
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
