"""More partitions for the events topic, with the state brought along, on a real Kafka with real workers."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from models.serving import store
from streams.account.codec import CLOCK_PREFIX, decode_state
from streams.command.local_kafka.broker import LocalBroker
from streams.command.rekey import home
from streams.contracts.base import Contract
from streams.contracts.events import DayClosed
from streams.contracts.records import Record
from streams.contracts.topics import EVENTS, changelog_name
from streams.decide import Rules
from streams.history.offline import run_offline
from streams.kafka.admin import ensure_topics, partitions_of
from streams.kafka.connection import Connection
from streams.kafka.group import committed_offsets, group_progress
from streams.score import ModelSet
from tests.support.factories import opened, payment, tick
from tests.support.processes import COMMAND, Process, environment, read_all, running

BEFORE, AFTER = 2, 5
BORROWERS = [f"B{number}" for number in range(60)]
NEW = "riskmon-p5"


def riskmon(broker: LocalBroker, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "repartition", "--partitions", str(AFTER), "--bootstrap", broker.bootstrap, *arguments]
    return subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=120, check=False)


def first_half() -> list[Contract]:
    """Loans, their first instalment paid by two of three, and the day after it closed everywhere."""
    loans = [opened(f"{borrower}-L", borrower) for borrower in BORROWERS]
    return [*loans, *paid(30, 0, 2), *(tick(day, number) for day in (30, 32, 70) for number in range(BEFORE))]


def second_half() -> list[Contract]:
    return [*paid(75, 0, 3), *(tick(day, number) for day in (76, 101) for number in range(AFTER)), *paid(102, 1, 4)]


def paid(day: int, of: int, every: int) -> list[Contract]:
    return [
        payment(day, name=f"{borrower}-{day}").model_copy(update={"borrower_id": borrower, "loan_id": f"{borrower}-L"})
        for number, borrower in enumerate(BORROWERS)
        if number % every != of
    ]


async def send(kafka: Connection, events: Sequence[Contract], partitions: int) -> None:
    async with kafka.producer() as producer:
        for event in events:
            key, number = address(event, partitions)
            await producer.send_and_wait(EVENTS, to_json(event), key, partition=number)


def address(event: Contract, partitions: int) -> tuple[bytes | None, int]:
    if isinstance(event, DayClosed):
        return None, event.partition
    key = str(event.borrower_id).encode()  # type: ignore[attr-defined]
    return key, home(key, partitions)


def to_json(event: Contract) -> bytes:
    return event.to_json()  # type: ignore[attr-defined,no-any-return]


async def read_by(kafka: Connection, group: str, count: int, worker: Process) -> None:
    async with asyncio.timeout(90):
        while sum((await committed_offsets(kafka, group, EVENTS)).values()) < count:
            worker.assert_running()
            await asyncio.sleep(0.1)


def never_moved(model: Path) -> dict[str, object]:
    """What each borrower's state would be on five partitions from the beginning."""
    records, offsets = [], [0] * AFTER
    ticks = [tick(day, number) for day in (30, 32, 70) for number in range(AFTER)]
    opening = [event for event in first_half() if not isinstance(event, DayClosed)]
    for event in [*opening, *ticks, *second_half()]:
        key, number = address(event, AFTER)
        records.append(Record(number, offsets[number], key, to_json(event), 1_800_000_000_000))
        offsets[number] += 1
    served, rows = store.load(model), dict[str, bytes]()
    list(run_offline(records, ModelSet(served.forest, served.segmenter), Rules(), rows))
    return {key: told(row) for key, row in rows.items() if not key.startswith(CLOCK_PREFIX)}


def told(row: bytes) -> object:
    state = decode_state(row)
    return msgspec.to_builtins((state.account, state.decision))


async def rows_of(kafka: Connection, application: str) -> dict[str, bytes]:
    records = await read_all(kafka, changelog_name(application))
    return {
        record.key.decode(): record.value
        for record in records
        if record.key and record.value and not record.key.startswith(b"\0")
    }


async def worked_through(kafka: Connection, model: Path, home_dir: Path) -> dict[str, str]:
    """A book on two partitions, read and stopped; returns the worker's environment."""
    env = environment(kafka, model, home_dir) | {"RISKMON_ONLINE": "false"}
    await ensure_topics(kafka, "riskmon", BEFORE, 1)
    await send(kafka, first_half(), BEFORE)
    with running("worker", env, home_dir / "worker.log") as worker:
        await read_by(kafka, "riskmon", len(first_half()), worker)
    return env


async def test_a_moved_book_goes_on_as_if_it_had_always_had_as_many_partitions(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka = own_broker.connection
    env = await worked_through(kafka, model, tmp_path)

    # Killed at some moment of the copy, and run again.
    cut = subprocess.Popen([*COMMAND, "repartition", "--partitions", str(AFTER), "--bootstrap", own_broker.bootstrap])
    while not await has_rows(kafka) and cut.poll() is None:
        await asyncio.sleep(0.02)
    cut.send_signal(signal.SIGKILL)
    await asyncio.to_thread(cut.wait)
    # What a run that was cut off, of another day, may have left.
    async with kafka.producer() as producer:
        where = home(b"B1", AFTER)
        await producer.send_and_wait(changelog_name(NEW), (await rows_of(kafka, "riskmon"))["B2"], b"B1", where)
        await producer.send_and_wait(changelog_name(NEW), (await rows_of(kafka, "riskmon"))["B2"], b"B-gone", 0)

    run = await asyncio.to_thread(riskmon, own_broker)
    assert run.returncode == 0, run.stderr
    assert "60 borrowers stand on 5 partitions, verified" in run.stderr
    again = await asyncio.to_thread(riskmon, own_broker)
    assert again.returncode == 0, again.stderr
    old, new = await rows_of(kafka, "riskmon"), await rows_of(kafka, NEW)
    assert {key: told(row) for key, row in new.items() if key != "B-gone"} == {k: told(row) for k, row in old.items()}

    await send(kafka, second_half(), AFTER)
    total = len(first_half()) + len(second_half())
    with running("worker", env | {"RISKMON_APPLICATION": NEW}, tmp_path / "new.log") as worker:
        await read_by(kafka, NEW, total, worker)
    found = {key: told(row) for key, row in (await rows_of(kafka, NEW)).items() if key != "B-gone"}
    assert found == never_moved(model)
    begun = await asyncio.to_thread(riskmon, own_broker)
    assert (begun.returncode, f"workers of {NEW} have worked already" in begun.stderr) == (1, True)


async def has_rows(kafka: Connection) -> bool:
    try:
        return bool(await rows_of(kafka, NEW))
    except ValueError:
        return False


async def test_it_refuses_while_a_worker_lives_or_has_not_read_everything(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka = own_broker.connection
    env = await worked_through(kafka, model, tmp_path)
    with running("worker", env, tmp_path / "worker.log") as worker:
        async with asyncio.timeout(60):
            while not (await group_progress(kafka, "riskmon", EVENTS)).members:
                worker.assert_running()
                await asyncio.sleep(0.1)
        alive = await asyncio.to_thread(riskmon, own_broker)
    assert (alive.returncode, "1 workers of riskmon are alive" in alive.stderr) == (1, True)
    await send(kafka, paid(75, 0, 3)[:4], BEFORE)
    unread = await asyncio.to_thread(riskmon, own_broker)
    assert (unread.returncode, "4 events are not read yet" in unread.stderr) == (1, True)
    assert len(await partitions_of(kafka, EVENTS)) == BEFORE


async def test_workers_and_doctor_refuse_a_topic_whose_partitions_were_added_by_hand(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    from aiokafka.admin import NewPartitions

    kafka = own_broker.connection
    env = await worked_through(kafka, model, tmp_path)
    admin = kafka.admin()
    await admin.start()
    await admin.create_partitions({EVENTS: NewPartitions(AFTER)})
    await admin.close()
    with running("worker", env, tmp_path / "worker.log") as worker:
        assert await asyncio.to_thread(worker.child.wait, 60) == 1
    assert "`riskmon repartition` brings the state along" in worker.tail()
    # Published on the new partitions meanwhile, and one by a producer that still knows two.
    await send(kafka, paid(75, 0, 3), AFTER)
    elsewhere = next(event for event in paid(76, 9, 10) if address(event, BEFORE) != address(event, AFTER))
    await send(kafka, [elsewhere], BEFORE)
    refused = await asyncio.to_thread(riskmon, own_broker)
    assert (refused.returncode, "1 unread events stand on partitions" in refused.stderr) == (1, True)
    run = await asyncio.to_thread(riskmon, own_broker, "--accept-misplaced")
    assert run.returncode == 0, run.stderr
