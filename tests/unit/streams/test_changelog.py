"""The rule which records of the changelog count, for any order of claims and rows, whole or compacted."""

from itertools import product
from random import Random

import pytest

from streams.account.changelog import Claims, Verdict, claim_key, is_borrower, is_clock, standing_on
from streams.kafka.changelog import LogRecord


def verdicts(*records: LogRecord) -> list[Verdict]:
    judge = Claims()
    return [judge.judge(*record) for record in records]


def claim(offset: int, partition: int = 0) -> LogRecord:
    return LogRecord(partition, offset, claim_key(partition), b"owner", ())


def row(offset: int, stands_on: int | None, partition: int = 0, value: bytes | None = b"1") -> LogRecord:
    return LogRecord(partition, offset, b"B1", value, () if stands_on is None else standing_on(stands_on))


def test_a_row_counts_until_another_claim_stands_before_it() -> None:
    records = [row(0, None), claim(1), row(2, 1), row(3, None), claim(4), row(5, 1), row(6, 4), row(7, 1, value=None)]
    counts, stale, a_claim = Verdict.COUNTS, Verdict.STALE, Verdict.CLAIM
    assert verdicts(*records) == [counts, a_claim, counts, stale, a_claim, stale, counts, stale]


def test_partitions_are_judged_each_by_itself() -> None:
    assert verdicts(claim(9, 1), row(3, None, 0), row(10, 9, 1)) == [Verdict.CLAIM, Verdict.COUNTS, Verdict.COUNTS]


def test_a_row_removed_by_hand_counts_and_what_cannot_be_read_does_not() -> None:
    assert verdicts(claim(0), row(1, None, value=None)) == [Verdict.CLAIM, Verdict.COUNTS]
    damaged = LogRecord(0, 2, b"B1", b"1", (("claim", b"-x"),))
    assert verdicts(LogRecord(0, 1, None, b"1", ()), damaged) == [Verdict.FOREIGN, Verdict.FOREIGN]


@pytest.mark.parametrize("seed", range(20))
def test_rows_that_count_do_so_for_readers_that_come_late(seed: int) -> None:
    draw, log, claims = Random(seed), list[LogRecord](), list[int]()
    for offset in range(60):
        if not claims or draw.random() < 0.15:
            claims.append(offset)
            log.append(claim(offset))
        else:
            # Mostly the owner's, sometimes that of one before it.
            stands_on = claims[-1] if draw.random() < 0.7 else draw.choice(claims)
            log.append(LogRecord(0, offset, b"B%d" % draw.randrange(5), b"1", standing_on(stands_on)))
    whole = dict(zip(log, verdicts(*log), strict=True))
    # Compaction keeps the newest claim only.
    compacted = [each for each in log if each.key != claim_key(0) or each.offset == claims[-1]]
    for record, verdict in zip(compacted, verdicts(*compacted), strict=True):
        assert verdict is whole[record] or whole[record] is Verdict.STALE
    # Who begins at a row that counts judges all that follows like one that has read it all.
    for begin, record in enumerate(log):
        if whole[record] is Verdict.COUNTS:
            assert verdicts(*log[begin:]) == [whole[each] for each in log[begin:]]


def test_keys_tell_what_a_row_is() -> None:
    names = (b"B1", b"\x00clock/3", claim_key(3))
    assert [(is_borrower(key), is_clock(key)) for key in names] == [(True, False), (False, True), (False, False)]


def test_every_order_of_two_owners_and_their_rows_has_one_reading() -> None:
    """Whoever wrote when: what counts are the rows of the last claim before each, and nothing else."""
    for writers in product((0, 1), repeat=6):
        log, own = list[LogRecord](), dict[int, int]()
        for offset, writer in enumerate(writers):
            is_claim = writer not in own
            log.append(claim(offset) if is_claim else row(offset, own[writer]))
            if is_claim:
                own[writer] = offset
        last = -1
        for record, verdict in zip(log, verdicts(*log), strict=True):
            if verdict is Verdict.CLAIM:
                last = record.offset
            else:
                assert (verdict is Verdict.COUNTS) == (record.headers == standing_on(last))
