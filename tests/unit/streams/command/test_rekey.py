"""Rows and clocks as they stand on more partitions, and what forbids the move."""

import pytest

from streams.account.changelog import claim_key, standing_on
from streams.account.codec import (
    CLOCK_PREFIX,
    BorrowerState,
    OutboxEntry,
    PartitionClock,
    decode_clock,
    decode_state,
    encode,
)
from streams.account.decision_state import DecisionState
from streams.command.rekey import CountingRows, Move, RekeyError, home, moved_clocks, moved_rows
from streams.command.repartition import new_name
from streams.kafka.changelog import LogRecord
from tests.support.factories import account_of, opened

MOVE = Move(2, 5, {0: 10, 1: 20, 2: 0, 3: 0, 4: 7})


def row(borrower: str, partition: int, applied: int) -> bytes:
    state = BorrowerState(account_of(opened("L", borrower)), DecisionState(score=0.25), partition, applied)
    return encode(state)


def with_outbox(borrower: str, partition: int, applied: int) -> bytes:
    sent = OutboxEntry("action", applied, borrower.encode(), b"{}")
    state = BorrowerState(account_of(opened("L", borrower)), DecisionState(), partition, applied, (sent,))
    return encode(state)


def clock(partition: int, day: int) -> PartitionClock:
    return PartitionClock(partition, day, 3)


def counting_rows(records: list[LogRecord]) -> dict[bytes, bytes]:
    found = CountingRows()
    for record in records:
        found.take(record)
    return found.rows


def log(*messages: tuple[bytes | None, bytes | None, int | None]) -> list[LogRecord]:
    """Messages of one partition: key, value, and the claim they stand on."""
    return [
        LogRecord(0, offset, key, value, () if claim is None else standing_on(claim))
        for offset, (key, value, claim) in enumerate(messages)
    ]


def test_the_home_of_a_key_is_the_java_clients() -> None:
    # From Kafka's own test of its murmur2, made positive.
    for key, hashed in ((b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)):
        assert home(key, 1000) == (hashed & 0x7FFFFFFF) % 1000


def test_a_row_moves_to_its_keys_home_with_the_watermark_of_that_partition() -> None:
    ids = [f"B{number}" for number in range(40)]
    rows = {borrower.encode(): row(borrower, 1, 19) for borrower in ids}
    moved = list(moved_rows(rows, 1, MOVE))
    assert {each.partition for each in moved} == {0, 1, 2, 3, 4}
    for each, borrower in zip(moved, ids, strict=True):
        before, after = decode_state(rows[borrower.encode()]), decode_state(each.value or b"")
        assert (each.key, each.partition) == (borrower.encode(), home(borrower.encode(), 5))
        assert (after.account, after.decision) == (before.account, before.decision)
        assert (after.partition, after.applied_offset) == (each.partition, MOVE.resume_at[each.partition] - 1)


def test_what_an_outbox_holds_was_sent_before_the_commit_and_is_left_behind() -> None:
    (moved,) = moved_rows({b"B1": with_outbox("B1", 0, 9)}, 0, MOVE)
    assert decode_state(moved.value or b"").outbox == ()


@pytest.mark.parametrize("value", [row("B1", 0, 10), row("B1", 1, 9)], ids=["beyond the commit", "another partition"])
def test_a_row_that_the_commit_does_not_cover_is_not_moved(value: bytes) -> None:
    with pytest.raises(RekeyError, match=r"'B1' on partition 0 .*committed 10.*SIGTERM"):
        list(moved_rows({b"B1": value}, 0, MOVE))


def test_every_partition_gets_a_clock_at_the_same_day() -> None:
    moved = [decode_clock(each.value or b"") for each in moved_clocks([clock(1, 739_000), clock(0, 739_000)], MOVE)]
    assert [(each.partition, each.day, each.applied_offset) for each in moved] == [
        (0, 739_000, 9),
        (1, 739_000, 19),
        (2, 739_000, -1),
        (3, 739_000, -1),
        (4, 739_000, 6),
    ]
    assert list(moved_clocks([], MOVE)) == []


@pytest.mark.parametrize("clocks", [[clock(0, 739_000), clock(1, 739_001)], [clock(1, 739_000)]])
def test_partitions_at_different_days_are_not_moved(clocks: list[PartitionClock]) -> None:
    with pytest.raises(RekeyError, match="have not closed the same business day"):
        list(moved_clocks(clocks, MOVE))


def test_of_a_changelog_only_what_counts_is_taken() -> None:
    old, new, other = row("B1", 0, 3), row("B1", 0, 5), row("B2", 0, 4)
    tick = encode(clock(0, 739_000))
    clock_key = f"{CLOCK_PREFIX}0".encode()
    assert counting_rows(log((b"B1", old, None), (b"B1", new, None), (b"B1", old, None))) == {b"B1": new}
    assert counting_rows(log((b"B1", new, None), (b"B1", None, None), (b"B2", other, None))) == {b"B2": other}
    assert counting_rows(log((b"B1", new, None), (b"B1", None, None), (b"B1", old, None))) == {b"B1": old}
    assert counting_rows(log((None, b"x", None), (clock_key, tick, None))) == {clock_key: tick}
    # A suspended worker's row stands on an older claim than its successor's.
    claims = ((claim_key(0), b"first", None), (claim_key(0), b"second", None))
    assert counting_rows(log(*claims, (b"B1", old, 1), (b"B1", new, 0))) == {b"B1": old}


def test_the_new_name_tells_the_number_of_partitions_once() -> None:
    assert new_name("riskmon", 8) == "riskmon-p8"
    assert new_name("riskmon-p8", 16) == "riskmon-p16"
