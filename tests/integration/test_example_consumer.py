"""docs/examples/consume_actions.py on a real Kafka: repeated actions, a restart, offsets that were never committed."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from aiokafka.admin import NewTopic

from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.actions import Action, Reason
from streams.contracts.vocabulary import Strategy
from streams.kafka.connection import Connection

PROGRAM = Path(__file__).parent.parent.parent / "docs" / "examples" / "consume_actions.py"
TOPIC = "example.actions"
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


def action(number: int) -> Action:
    return Action(
        action_id=f"0-{number}-00c0ffee",
        borrower_id=f"B{number}",
        loan_id="L1",
        previous_strategy=Strategy.REMINDER,
        strategy=Strategy.SETTLEMENT,
        score=0.6,
        forest_score=0.6,
        online_score=None,
        online_weight=0,
        reasons=[Reason(feature="days_past_due", value=35, contribution=0.3, text="35 days past due")],
        days_past_due=35,
        delinquency_bucket="30-59",
        missed_count=1,
        arrears=Decimal("500.00"),
        forest_version="f",
        online_version=0,
        caused_by="e1",
        event_type="day_closed",
        occurred_at=NOW,
        published_at=NOW,
        decided_at=NOW,
    )


async def publish(kafka: Connection, *numbers: int) -> None:
    async with kafka.producer() as producer:
        for number in numbers:
            sent = action(number)
            await producer.send_and_wait(TOPIC, sent.model_dump_json().encode(), sent.borrower_id.encode())


def consume(kafka: Connection, folder: Path, until: str, group: str = "collections") -> list[str]:
    """Run the program until it has printed that line, and end it; the lines it printed."""
    log = folder / "consumer.log"
    database = str(folder / "work.sqlite")
    command = [sys.executable, str(PROGRAM), kafka.bootstrap, database, "--topic", TOPIC, "--group", group]
    with log.open("wb") as out, (folder / "errors.log").open("wb") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors)
    try:
        deadline = time.monotonic() + 60
        while until not in log.read_text():
            assert process.poll() is None, (folder / "errors.log").read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        process.terminate()
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    return [" ".join(line.split()[:2]) for line in log.read_text().splitlines()]


def work(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "work.sqlite") as database:
        return [borrower for (borrower,) in database.execute("SELECT borrower_id FROM work ORDER BY rowid")]


async def test_each_action_is_handled_once(broker: LocalBroker, tmp_path: Path) -> None:
    kafka = Connection(broker.bootstrap)
    admin = kafka.admin()
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 1, 1)])
    await admin.close()
    await publish(kafka, 1, 2, 1)
    # What anybody else may have put there stops nothing.
    async with kafka.producer() as producer:
        for value in (b"", b"{", b"[1]", b"7", b'{"action_id": 5, "schema_version": 1}', b"[" * 100_000, b"\xff", None):
            await producer.send_and_wait(TOPIC, value, b"a stranger")
        lacking = b'{"action_id": "x", "schema_version": 1, "borrower_id": "B9", "reasons": [{}]}'
        await producer.send_and_wait(TOPIC, lacking, b"a stranger")
    await publish(kafka, 3)
    lines = await asyncio.to_thread(consume, kafka, tmp_path, "handled 0-3-")
    assert lines == ["handled 0-1-00c0ffee", "handled 0-2-00c0ffee", "known 0-1-00c0ffee", "handled 0-3-00c0ffee"]
    # A restart goes on from the commit, and riskmon repeats an action after a crash of its own.
    await publish(kafka, 2, 4)
    lines = await asyncio.to_thread(consume, kafka, tmp_path, "handled 0-4-")
    assert lines == ["known 0-2-00c0ffee", "handled 0-4-00c0ffee"]
    # Crashes before any commit: without the offsets, everything comes again.
    lines = await asyncio.to_thread(consume, kafka, tmp_path, "known 0-4-", "without-commits")
    assert len(lines) == 6, lines
    assert all(line.startswith("known ") for line in lines)
    assert work(tmp_path) == ["B1", "B2", "B3", "B4"]
