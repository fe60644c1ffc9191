"""Events of transactional producers: only what is committed counts, and an open transaction is seen."""

from pathlib import Path

from streams.account.codec import decode_state
from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.topics import EVENTS, changelog_name
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from tests.support.factories import opened, payment
from tests.support.oracle import assert_as_uninterrupted
from tests.support.processes import (
    committed,
    environment,
    metric,
    read_all,
    running,
    wait_for_metric,
    wait_until_drained,
)

LAG = "riskmon_lag_records"
HELD = "riskmon_open_transaction_seconds"


async def events_in_transaction(kafka: Connection, *offsets: int, commit: bool) -> None:
    async with kafka.producer(transactional_id="lender") as producer:
        await producer.begin_transaction()
        for offset in offsets:
            await producer.send_and_wait(EVENTS, payment(offset).to_json(), b"B1")
        await (producer.commit_transaction() if commit else producer.abort_transaction())


async def paid(kafka: Connection) -> int:
    """How many payments the state holds."""
    rows = [row.value for row in await read_all(kafka, changelog_name("riskmon")) if row.key == b"B1" and row.value]
    return len(decode_state(rows[-1]).account.loans[0].ledger)


async def test_only_what_is_committed_counts_and_a_restart_finds_nothing_left(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 1, 1)
    async with kafka.producer() as producer:
        await producer.send_and_wait(EVENTS, opened().to_json(), b"B1")
    await events_in_transaction(kafka, 1, 2, commit=False)
    await events_in_transaction(kafka, 3, commit=True)
    env = environment(kafka, model, tmp_path)
    with running("worker", env, tmp_path / "worker.log") as worker:
        await wait_until_drained(kafka, worker)
        await wait_for_metric(worker, lambda lag: lag == 0, LAG)
        assert await metric(worker, "riskmon_events_total") == 2
        # Aborted to the end of the topic: nothing visible stands behind it.
        await events_in_transaction(kafka, 4, commit=False)
        await wait_until_drained(kafka, worker)
        await wait_for_metric(worker, lambda lag: lag == 0, LAG)
    assert await committed(kafka) == 8
    assert await paid(kafka) == 1
    await assert_as_uninterrupted(kafka, model)
    with running("worker", env, tmp_path / "again.log") as worker:
        await wait_for_metric(worker, lambda ready: ready == 1, "riskmon_worker_ready")
        await wait_for_metric(worker, lambda lag: lag == 0, LAG, partition="0")
        assert await metric(worker, "riskmon_redelivered_events_total") == 0


async def test_an_open_transaction_holds_what_is_behind_it_and_says_so(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 1, 1)
    async with kafka.producer() as plain, kafka.producer(transactional_id="lender") as producer:
        await plain.send_and_wait(EVENTS, opened().to_json(), b"B1")
        with running("worker", environment(kafka, model, tmp_path), tmp_path / "worker.log") as worker:
            await wait_until_drained(kafka, worker)
            await producer.begin_transaction()
            await producer.send_and_wait(EVENTS, payment(1).to_json(), b"B1")
            await plain.send_and_wait(EVENTS, payment(2).to_json(), b"B1")
            await wait_for_metric(worker, lambda seconds: seconds > 1, HELD, partition="0")
            assert await metric(worker, "riskmon_events_total") == 1
            assert await metric(worker, LAG) == 0
            assert await metric(worker, "riskmon_worker_ready") == 1
            assert await metric(worker, "riskmon_redelivered_events_total") == 0
            await producer.commit_transaction()
            await wait_until_drained(kafka, worker)
            await wait_for_metric(worker, lambda seconds: seconds == 0, HELD)
            assert await metric(worker, "riskmon_events_total") == 3
    assert await paid(kafka) == 2
    await assert_as_uninterrupted(kafka, model)


async def test_rows_that_a_stranger_holds_are_not_taken_as_missing(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka, env = own_broker.connection, environment(own_broker.connection, model, tmp_path)
    await ensure_topics(kafka, "riskmon", 1, 1)
    async with kafka.producer() as plain, kafka.producer(transactional_id="stranger") as stranger:
        await plain.send_and_wait(EVENTS, opened().to_json(), b"B1")
        with running("worker", env, tmp_path / "worker.log") as worker:
            await wait_until_drained(kafka, worker)
        await stranger.begin_transaction()
        await stranger.send_and_wait(changelog_name("riskmon"), b"", b"B9", partition=0)
        for number in (1, 2):
            # The second worker finds rows of the first behind what the stranger holds.
            await plain.send_and_wait(EVENTS, payment(number).to_json(), b"B1")
            with running("worker", env, tmp_path / f"worker-{number}.log") as worker:
                await wait_until_drained(kafka, worker)
        await stranger.abort_transaction()
    assert await paid(kafka) == 2
    await assert_as_uninterrupted(kafka, model)
