"""The id of the events topic stands with the partition's clock, from its first batch on."""

from datetime import UTC, datetime

import msgspec
import numpy as np
from sklearn.ensemble import RandomForestClassifier

from models.serving.forest import Calibration, Forest
from streams.account.codec import CLOCK_PREFIX, PartitionClock, decode_clock
from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.records import Record, Unreadable
from streams.decide import BatchResult, Engine, Rules
from streams.score import ModelSet
from tests.support.factories import opened, tick

NOW = datetime(2025, 6, 1, tzinfo=UTC)
CLOCK = f"{CLOCK_PREFIX}0"
_ROWS = np.eye(len(FEATURE_NAMES))
BOOK = ModelSet(
    Forest.from_sklearn(
        RandomForestClassifier(1, random_state=1).fit(_ROWS, _ROWS[:, 0] > 0), FEATURE_NAMES, Calibration(), "test"
    )
)


def decided(engine: Engine, rows: dict[str, bytes], offset: int, key: bytes | None, value: bytes | None) -> BatchResult:
    result = engine.process([Record(0, offset, key, value, int(NOW.timestamp() * 1000))], BOOK, NOW)
    rows.update({name: row for name, (_, row) in result.rows.items()})
    return result


def test_it_is_written_with_the_first_batch_and_kept_by_ticks() -> None:
    rows: dict[str, bytes] = {}
    engine = Engine(Rules(), rows.get)
    engine.pin_topic(0, "the-topic")
    decided(engine, rows, 0, b"B1", opened().to_json())
    assert decode_clock(rows[CLOCK]) == PartitionClock(0, 0, -1, topic_id="the-topic")
    del rows[CLOCK]
    decided(engine, rows, 1, b"B1", b"{")
    assert CLOCK not in rows
    decided(engine, rows, 2, None, tick(3).to_json())
    clock = decode_clock(rows[CLOCK])
    assert (clock.applied_offset, clock.topic_id) == (2, "the-topic")
    engine.load([], [clock], {})
    engine.pin_topic(0, "the-topic")
    assert CLOCK not in decided(engine, rows, 3, b"B1", b"{").rows


def test_a_clock_of_an_older_riskmon_has_none() -> None:
    clock = decode_clock(msgspec.msgpack.encode((0, 5, 7)))
    assert (clock, clock.topic_id) == (PartitionClock(0, 5, 7), "")


def test_a_record_that_cannot_be_opened_is_refused_by_what_is_wrong() -> None:
    rows: dict[str, bytes] = {}
    engine = Engine(Rules(), rows.get)
    record = Record(0, 4, None, None, 0, Unreadable("too_large", "64 MiB"))
    (letter,) = engine.process([record], BOOK, NOW).dead_letters
    assert (letter.reason, letter.detail, letter.record.offset) == ("too_large", "64 MiB", 4)
