"""A refused message from the topic through `riskmon deadletter` back into the stream, as an operator does it."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

from streams.account.codec import decode_state
from streams.account.payments import paid_by
from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.topics import EVENTS, changelog_name
from streams.kafka.admin import ensure_topics
from tests.support.factories import day, opened, payment
from tests.support.processes import COMMAND, environment, read_all, running, wait_for_commit


def deadletter(broker: LocalBroker, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "deadletter", *arguments, "--bootstrap", broker.bootstrap]
    return subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=60, check=False)


def listed(broker: LocalBroker) -> list[dict[str, object]]:
    run = deadletter(broker, "list", "--json")
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


async def test_what_was_refused_is_listed_repaired_and_sent_again(
    own_broker: LocalBroker, model: Path, tmp_path: Path
) -> None:
    kafka, log = own_broker.connection, tmp_path / "worker.log"
    await ensure_topics(kafka, "riskmon", 4, 1)
    negative = payment(31).to_json().replace(b'"500.00"', b'"-500.00"')
    async with kafka.producer() as producer:
        for value in (opened().to_json(), negative, b"\xff{"):
            await producer.send_and_wait(EVENTS, value, b"B1")
    with running("worker", environment(kafka, model, tmp_path), log) as worker:
        await wait_for_commit(kafka, 3, worker)
        before = await asyncio.to_thread(listed, own_broker)
        repair = ["--through", "sed s/-500.00/500.00/"]
        run = await asyncio.to_thread(deadletter, own_broker, "replay", *repair)
        await wait_for_commit(kafka, 4, worker)

    assert [letter["reason"] for letter in before] == ["invalid_event", "invalid_event"]
    assert "amount: Input should be greater than" in str(before[0]["detail"])
    assert before[0]["value"] == negative.decode()
    assert run.returncode == 1
    assert "dead letter 1 stays: message: Invalid JSON" in run.stderr
    assert "sent again: 1, left: 1" in run.stderr
    assert [letter["offset"] for letter in listed(own_broker)] == [1]
    rows = {record.key: record.value for record in await read_all(kafka, changelog_name("riskmon"))}
    assert paid_by(decode_state(rows[b"B1"] or b"").account.loans[0], day(60).toordinal()) == 500_00


def test_a_repair_command_that_fails_leaves_the_letter_where_it_is(own_broker: LocalBroker) -> None:
    async def file_a_letter() -> None:
        from streams.contracts.records import DeadLetter, Record
        from streams.kafka.dead_letters import dead_letter_message
        from streams.kafka.producer import Sink

        await ensure_topics(own_broker.connection, "riskmon", 1, 1)
        sink = Sink(own_broker.connection)
        record = Record(0, 7, b"B1", payment(31).to_json(), 0)
        await sink.write([dead_letter_message(EVENTS, DeadLetter(record, "unknown_loan", "no loan"))])
        await sink.close()

    asyncio.run(file_a_letter())
    failed = deadletter(own_broker, "replay", "--through", "false")
    assert (failed.returncode, "the repair command ended with 1" in failed.stderr) == (1, True)
    absent = deadletter(own_broker, "replay", "--through", "no-such-command")
    assert (absent.returncode, "could not run" in absent.stderr) == (1, True)
    assert [letter["origin_offset"] for letter in listed(own_broker)] == [7]
    assert deadletter(own_broker, "replay", "--reason", "unknown_loan", "--offset", "0").returncode == 0
    assert listed(own_broker) == []
    assert "0 dead letters" in deadletter(own_broker, "list").stdout
