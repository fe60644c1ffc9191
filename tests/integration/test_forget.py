"""A borrower is erased while a worker runs and while none does, with both stores, on a real Kafka."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from streams.account.codec import decode_state
from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.topics import DEADLETTER, EVENTS, changelog_name
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from tests.support.factories import opened, payment
from tests.support.processes import (
    COMMAND,
    environment,
    read_all,
    read_messages,
    running,
    wait_for_commit,
)

CHANGELOG = changelog_name("riskmon")


def riskmon(broker: LocalBroker, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments, "--bootstrap", broker.bootstrap]
    env = os.environ | {"COLUMNS": "200"}
    return subprocess.run(command, env=env, input=answer, capture_output=True, text=True, timeout=90, check=False)


async def send(kafka: Connection, *events: tuple[str, bytes]) -> None:
    async with kafka.producer() as producer:
        for key, value in events:
            await producer.send_and_wait(EVENTS, value, key.encode())


def lives(*borrowers: str) -> list[tuple[str, bytes]]:
    return [
        (borrower, event.to_json())
        for borrower in borrowers
        for event in (
            opened(f"{borrower}-L", borrower),
            payment(31, name=f"{borrower}-pay").model_copy(
                update={"borrower_id": borrower, "loan_id": f"{borrower}-L"}
            ),
        )
    ]


async def states(kafka: Connection) -> dict[str, bytes]:
    rows: dict[str, bytes] = {}
    for record in await read_all(kafka, CHANGELOG):
        if record.key and not record.key.startswith(b"\0"):
            rows.pop(record.key.decode(), None)
            if record.value is not None:
                rows[record.key.decode()] = record.value
    return rows


async def refused(kafka: Connection) -> list[str]:
    return [dict(letter.headers)["riskmon-reason"].decode() for letter in await read_messages(kafka, DEADLETTER)]


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
@pytest.mark.parametrize("is_running", [False, True], ids=["stopped", "running"])
async def test_an_erased_borrower_is_unknown_to_workers_and_history(
    own_broker: LocalBroker, model: Path, tmp_path: Path, store: str, is_running: bool
) -> None:
    kafka, log = own_broker.connection, tmp_path / "worker.log"
    env = environment(kafka, model, tmp_path) | {"RISKMON_STORE": store}
    await ensure_topics(kafka, "riskmon", 2, 1)
    await send(kafka, *lives("B1", "B2", "B3"))
    later = payment(61, name="B1-later").model_copy(update={"loan_id": "B1-L"})
    if is_running:
        with running("worker", env, log) as worker:
            await wait_for_commit(kafka, 6, worker)
            run = await asyncio.to_thread(riskmon, own_broker, "forget", "B1", "--yes")
            await send(kafka, *lives("B4", "B5", "B6"), ("B1", later.to_json()))
            await wait_for_commit(kafka, 13, worker)
    else:
        with running("worker", env, log) as worker:
            await wait_for_commit(kafka, 6, worker)
        run = await asyncio.to_thread(riskmon, own_broker, "forget", "B1", "--yes")
        await send(kafka, *lives("B4", "B5", "B6"), ("B1", later.to_json()))
    assert run.returncode == 0, run.stderr
    assert "erased: B1" in run.stderr
    with running("worker", env, log) as worker:
        await wait_for_commit(kafka, 13, worker)
        assert await refused(kafka) == ["unknown_loan"]
        assert sorted(await states(kafka)) == ["B2", "B3", "B4", "B5", "B6"]
        unknown = await asyncio.to_thread(riskmon, own_broker, "borrower", "B1")
        assert (unknown.returncode, "no borrower B1 is known" in unknown.stderr) == (1, True)
        await send(kafka, ("B1", opened("again", "B1").to_json()))
        await wait_for_commit(kafka, 14, worker)
    fresh = decode_state((await states(kafka))["B1"]).account
    assert [loan.loan_id for loan in fresh.loans] == ["again"]


async def test_without_a_yes_or_with_a_dry_run_nothing_changes(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 2, 1)
    await send(kafka, *lives("B1"))
    with running("worker", environment(kafka, model, tmp_path), tmp_path / "worker.log") as worker:
        await wait_for_commit(kafka, 2, worker)
    before = await states(kafka)
    dry = await asyncio.to_thread(riskmon, own_broker, "forget", "B1", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "would be erased" in dry.stdout
    assert "riskmon.events" in dry.stdout
    assert "2 messages" in dry.stdout
    refusal = await asyncio.to_thread(riskmon, own_broker, "forget", "B1", answer="n\n")
    assert refusal.returncode == 1
    assert await states(kafka) == before
    nobody = await asyncio.to_thread(riskmon, own_broker, "forget", "B9", "--yes")
    assert (nobody.returncode, "no borrower B9 is known" in nobody.stderr) == (1, True)


async def test_events_that_no_worker_has_applied_keep_it_from_being_erased(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 2, 1)
    await send(kafka, *lives("B1"))
    with running("worker", environment(kafka, model, tmp_path), tmp_path / "worker.log") as worker:
        await wait_for_commit(kafka, 2, worker)
    await send(kafka, ("B1", opened("second", "B1").to_json()))
    run = await asyncio.to_thread(riskmon, own_broker, "forget", "B1", "--yes")
    assert (run.returncode, "1 events of B1 are not applied yet" in run.stderr) == (1, True)
    assert "B1" in await states(kafka)
    again = await asyncio.to_thread(riskmon, own_broker, "forget", "B1", "--yes")
    assert again.returncode == 1
