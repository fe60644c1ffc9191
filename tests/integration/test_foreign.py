"""Messages on riskmon's topics that are not riskmon's: every reader passes them over, counts them and goes on."""

import asyncio
import json
import os
import subprocess
import threading
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from monitoring.console.app import Console
from monitoring.console.board import Board
from monitoring.console.feed import Feed
from streams.command.local_kafka.broker import LocalBroker
from streams.config.settings import Settings
from streams.contracts.records import DeadLetter, Record
from streams.contracts.topics import ACTIONS, DEADLETTER, EVENTS, LABELS, MODELS, changelog_name
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from streams.kafka.dead_letters import dead_letter_message
from streams.kafka.producer import Sink
from streams.kafka.reader import read_actions
from tests.support.factories import action, payment
from tests.support.processes import COMMAND, read_messages

NASTY = [b"", b"{", b"\xff\xfe", b"[" * 5_000, b'{"schema_version": 1}', b"NaN", None]
# Three commands that terminals take: clear the screen, the same in C1, and an override of the writing's direction.
COMMANDS = "\x1b[2J \x9b2J \u202eevil"


async def spoil(kafka: Connection, *topics: str) -> int:
    """Put strangers' messages on the topics, with keys and headers of all kinds; how many on each."""
    sent = 0
    async with kafka.producer() as producer:
        for value in NASTY:
            for key in (b"k", b"online", b"\xff"):
                headers = [("riskmon-reason", b"\xff"), ("riskmon-offset", b"x" * 3)] if key != b"k" else []
                for topic in topics:
                    await producer.send_and_wait(topic, value, key, headers=headers)
                sent += 1
    return sent


async def file_letters(kafka: Connection) -> None:
    """Two dead letters whose sender had the operator's terminal in mind."""
    sink = Sink(kafka)
    nasty = DeadLetter(
        Record(0, 7, b"B1", payment(31).to_json(), 0), "unknown_loan", f"no loan [/2025] :100: {COMMANDS}"
    )
    plain = DeadLetter(Record(0, 8, b"B1", payment(31).to_json(), 0), "invalid_event", "O'Neil\\")
    await sink.write([dead_letter_message(EVENTS, each) for each in (nasty, plain)])
    await sink.close()


def deadletter(kafka: Connection, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "deadletter", *arguments, "--bootstrap", kafka.bootstrap]
    environment = os.environ | {"COLUMNS": "300", "FORCE_COLOR": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def test_dead_letters_are_listed_as_they_are_beside_strangers_messages(own_broker: LocalBroker) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 2, 1)
    await spoil(kafka, DEADLETTER)
    await file_letters(kafka)
    await spoil(kafka, DEADLETTER)
    listed = await asyncio.to_thread(deadletter, kafka, "list")
    assert listed.returncode == 0, listed.stderr
    assert "2 dead letters" in listed.stdout
    assert r"no loan [/2025] :100: \x1b[2J \x9b2J \u202eevil" in listed.stdout
    assert "O'Neil\\" in listed.stdout
    assert not {"\x9b", "\u202e"} & set(listed.stdout + listed.stderr)
    assert "\x1b[2J" not in listed.stdout + listed.stderr
    assert "is not riskmon's and is passed over" in listed.stderr
    told = await asyncio.to_thread(deadletter, kafka, "list", "--json")
    assert [json.loads(line)["origin_offset"] for line in told.stdout.splitlines()] == [7, 8]


async def test_a_replay_writes_only_to_riskmons_inputs(own_broker: LocalBroker) -> None:
    """A letter that names another topic, or a partition there is none of, stays; the topic gets nothing."""
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 2, 1)
    sink = Sink(kafka)
    record = Record(1, 7, b"B1", payment(31).to_json(), 0)
    letters = [
        dead_letter_message(topic, DeadLetter(record, "unknown_loan", "")) for topic in (ACTIONS, MODELS, EVENTS)
    ]
    beyond = dead_letter_message(EVENTS, DeadLetter(record._replace(partition=99), "unknown_loan", ""))
    await sink.write([*letters, beyond])
    await sink.close()
    run = await asyncio.to_thread(deadletter, kafka, "replay")
    assert run.returncode == 1
    assert f"it names {ACTIONS} as its origin" in run.stderr
    assert f"it names {MODELS} as its origin" in run.stderr
    assert "99@7 as its origin, but there are 2 partitions" in run.stderr
    assert "sent again: 1, left: 3" in run.stderr
    assert await read_messages(kafka, ACTIONS) == await read_messages(kafka, MODELS) == []
    # Its own partition, where the hash of the key would have chosen another or the same.
    assert [(each.partition, each.key) for each in await read_messages(kafka, EVENTS)] == [(1, b"B1")]


async def test_a_reader_of_actions_goes_on_behind_strangers_messages(own_broker: LocalBroker) -> None:
    kafka = own_broker.connection
    await ensure_topics(kafka, "riskmon", 2, 1)
    sent = action(action_id="a1")
    await spoil(kafka, ACTIONS)
    async with kafka.producer() as producer:
        await producer.send_and_wait(ACTIONS, sent.model_dump_json().encode(), b"B1")
    assert [each async for each in read_actions(kafka, follow=False)] == [sent]


async def until(holds: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_the_console_goes_on_behind_strangers_messages(
    own_broker: LocalBroker, caplog: pytest.LogCaptureFixture
) -> None:
    kafka = own_broker.connection
    settings = Settings(bootstrap=own_broker.bootstrap)
    await ensure_topics(kafka, "riskmon", 1, 1)
    topics = (DEADLETTER, ACTIONS, LABELS, MODELS, changelog_name("riskmon"))
    sent = await spoil(kafka, *topics)
    board = Board.empty(settings, datetime.now(UTC))
    feed = asyncio.create_task(Feed(kafka, settings, board).run())
    try:
        await until(lambda: board.link.state == "live")
        # On the models topic a tombstone under riskmon's key is a reset, on the changelog one erases a borrower.
        assert board.unreadable == len(topics) * sent - 4
        await spoil(kafka, *topics)
        await file_letters(kafka)
        await until(lambda: board.stream.dead_letters["unknown_loan"] == 1)
        await until(lambda: board.unreadable == 2 * (len(topics) * sent - 4))
        assert not feed.done()
        # What is logged of a message holds nothing of it: it may be personal.
        assert "schema_version" not in caplog.text
    finally:
        feed.cancel()
        await asyncio.gather(feed, return_exceptions=True)


async def test_a_feed_that_has_ended_is_said_on_the_page_and_by_healthz(
    own_broker: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(Feed, "_take_progress", broken)
    await ensure_topics(own_broker.connection, "riskmon", 1, 1)
    console = Console(Settings(bootstrap=own_broker.bootstrap), threading.Event())
    app = console.app
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
    async with app.router.lifespan_context(app), client:
        deadline = time.monotonic() + 30
        while (answer := await client.get("/healthz")).status_code == 200:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        assert answer.json() == {"alive": False, "problems": ["the feed has ended"]}
        link = console._board.link
        assert (link.state, "nobody thought of this" in link.detail) == ("failed", True)
