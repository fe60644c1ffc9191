"""Hostile input against the engine: nothing stops it, and every message ends somewhere."""

import time
from datetime import UTC, datetime

import pytest

from streams.contracts.records import Record
from streams.decide import Engine, Rules
from streams.score import ModelSet
from tests.support.factories import opened
from tests.support.hostile import POISON, hostile_messages

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.slow
def test_every_message_ends_as_applied_duplicate_or_dead_letter(long: bool) -> None:
    table: dict[str, bytes] = {}
    engine = Engine(Rules(), table.get)
    now = int(time.time() * 1000)
    messages = hostile_messages(50_000 if long else 2_500)
    records = [Record(0, offset, key, value, now) for offset, (key, value) in enumerate(messages)]
    ended = refused = 0
    for at in range(0, len(records), 7):
        result = engine.process(records[at : at + 7], ModelSet(None), _NOW)
        table.update({key: row for key, (_, row) in result.rows.items()})
        ended += sum(result.applied.values()) + result.duplicates + len(result.dead_letters)
        refused += len(result.dead_letters)
        assert result.redelivered == 0
    assert ended == len(records)
    assert len(records) / 2 < refused < len(records)


@pytest.mark.parametrize("value", POISON, ids=lambda value: value[:30].decode())
def test_known_poison_is_a_dead_letter(value: bytes) -> None:
    table: dict[str, bytes] = {}
    engine = Engine(Rules(), table.get)
    now = int(time.time() * 1000)
    first = opened() if b"loan_opened" not in value else opened("L0")
    records = [Record(0, 0, b"B1", first.to_json(), now), Record(0, 1, b"B1", value, now)]
    result = engine.process(records, ModelSet(None), _NOW)
    assert [each.record.offset for each in result.dead_letters] == [1]
