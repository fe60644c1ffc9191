"""The engine without Kafka: counts add up, batches do not matter, and a crash anywhere repairs itself."""

from collections import Counter
from random import Random

import pytest

from producers.faults import MALFORMED_KINDS, FaultConfig, FaultTally
from streams.account.codec import decode_state
from streams.contracts.actions import Action
from streams.contracts.events import LoanEvent
from streams.contracts.labels import Label
from streams.contracts.records import Record
from streams.contracts.vocabulary import Segment
from streams.decide import Rules
from streams.kafka.placement import murmur2_placement
from streams.score import ModelSet
from streams.strategy import SEVERITY
from tests.support.engine import (
    NOW,
    PARTITIONS,
    Run,
    in_batches,
    lived_day_by_day,
    record,
    records_of,
    simulated,
    stamp,
)
from tests.support.factories import closed, day, opened, payment, tick

# So that Kafka's time stamps do not hold up the calendar, as in the year of an operator who catches up.
LENIENT = Rules(days_ahead=30)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Published day by day, with some payments that are dated ahead of their day and so refused."""
    return lived_day_by_day(
        simulated(FaultConfig(duplicates=0.05, disorder=0.05, malformed=0.03), FaultTally()), early=9
    )


@pytest.fixture(scope="module")
def uninterrupted(book: ModelSet, records: list[Record]) -> Run:
    run = Run(book, LENIENT)
    for batch in in_batches(records, 50):
        run.take(batch)
    assert sum(reason == "future_date" for *_, reason, _ in run.refused) > 10
    return run


def test_every_record_ends_somewhere_and_faults_are_told_apart(book: ModelSet) -> None:
    tally = FaultTally()
    records = simulated(FaultConfig(duplicates=0.05, disorder=0.05, malformed=0.2), tally)
    result = Run(book).take(records)
    dead = len(result.dead_letters)
    assert sum(result.applied.values()) + result.duplicates + dead == len(records)
    assert set(tally.malformed) == set(MALFORMED_KINDS)
    assert (result.duplicates, dead) == (tally.duplicates, sum(tally.malformed.values()))
    reasons = [refused.reason for refused in result.dead_letters]
    assert reasons.count("unknown_loan") == tally.malformed["unknown_loan"]
    assert reasons.count("future_date") == tally.malformed["future_date"]


def test_the_simulation_raises_and_relaxes_strategies(uninterrupted: Run) -> None:
    actions = [Action.model_validate_json(value) for _, kind, value in uninterrupted.sent if kind == "action"]
    changes = Counter(SEVERITY[each.strategy] - SEVERITY[each.previous_strategy] for each in actions if each.score)
    assert sum(count for change, count in changes.items() if change > 0) > 5
    assert sum(count for change, count in changes.items() if change < 0) > 5
    assert changes[0] == 0


def test_segments_follow_the_days_past_due_in_actions_and_counts(uninterrupted: Run) -> None:
    actions = [Action.model_validate_json(value) for _, kind, value in uninterrupted.sent if kind == "action"]
    open_ones = [action for action in actions if action.score is not None]
    assert {action.segment for action in open_ones} == {Segment.BALANCED, Segment.HIGH_LOAN_HIGHER_RISK}
    assert all((action.segment is Segment.BALANCED) == (action.days_past_due <= 15) for action in open_ones)
    counted = uninterrupted.engine.segments
    assert counted.total() == sum(n for (bucket, _), n in uninterrupted.engine.portfolio.items() if bucket != "closed")
    restored = Run(uninterrupted.book)
    restored.table = uninterrupted.table
    restored.recover()
    assert +restored.engine.segments == +counted


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_batch_boundaries_do_not_matter(book: ModelSet, records: list[Record], uninterrupted: Run, size: int) -> None:
    run = Run(book, LENIENT)
    for batch in in_batches(records, size):
        run.take(batch)
    assert run.states() == uninterrupted.states()
    assert sorted(run.sent) == sorted(uninterrupted.sent)
    assert run.refused == uninterrupted.refused


@pytest.mark.parametrize("seed", range(6))
def test_a_crash_between_any_two_writes_loses_and_doubles_nothing(
    book: ModelSet, records: list[Record], uninterrupted: Run, seed: int
) -> None:
    draw = Random(seed)
    run = Run(book, LENIENT)
    at = committed = crashes = 0
    while at < len(records):
        # A batch that is read again seldom ends where it ended before: old records and new ones share it.
        batch = records[at : at + draw.randint(1, 80)]
        if crashes < 40 and draw.random() < 0.4:
            crashes += 1
            result = run.engine.process(batch, book, NOW)
            run.refuse(result)
            written = [key for key in result.rows if draw.random() < draw.choice((0.0, 0.5, 1.0))]
            run.table.update({key: result.rows[key][1] for key in written})
            if len(written) == len(result.rows):
                cut = draw.randrange(len(result.outgoing) + 1)
                run.sent.extend((p, each.kind, each.value) for p, each in result.outgoing[:cut])
            run.recover()
            at = committed
            continue
        run.take(batch)
        at += len(batch)
        if draw.random() < 0.5:
            committed = at
    assert crashes > 5
    assert run.states() == uninterrupted.states()
    # Repeats are allowed, and byte for byte the same; nothing is missing and nothing is new.
    assert set(run.sent) == set(uninterrupted.sent)
    # A record that was refused once is never applied: it is judged by the day that was closed before it.
    assert set(run.refused) == set(uninterrupted.refused)


def test_labels_are_written_as_their_model_would_write_them(uninterrupted: Run) -> None:
    written = [value for _, kind, value in uninterrupted.sent if kind == "label"]
    assert written
    assert [Label.model_validate_json(value).model_dump_json().encode() for value in written] == written


def test_labels_leave_in_the_order_by_which_the_learner_tells_repeats(uninterrupted: Run) -> None:
    for partition in range(PARTITIONS):
        labels = [
            Label.model_validate_json(v) for p, kind, v in uninterrupted.sent if (p, kind) == (partition, "label")
        ]
        orders = [label.order for label in labels]
        assert orders == sorted(orders)
        assert len(set(orders)) == len(orders) > 10


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"B1", b"{", "invalid_event"),
        (b"B1", b"", "invalid_event"),
        (b"B2", payment(31).to_json(), "key_mismatch"),
        (None, payment(31).to_json(), "key_mismatch"),
        (None, tick(31, partition=1).to_json(), "wrong_partition"),
        (b"B1", payment(31).to_json().replace(b"2025", b"2925"), "future_date"),
        (b"B1", payment(31).to_json().replace(b'"500.00"', b'"NaN"'), "invalid_event"),
    ],
)
def test_bad_messages_are_refused_with_a_reason(book: ModelSet, key: bytes, value: bytes, reason: str) -> None:
    run = Run(book)
    result = run.take([record(0, b"B1", opened().to_json()), record(1, key, value)])
    assert [each.reason for each in result.dead_letters] == [reason]
    assert result.dead_letters[0].record.value == value


@pytest.mark.parametrize("recovers", [False, True])
def test_a_tick_leaves_a_closed_loan_alone_whether_or_not_the_worker_has_just_started(
    book: ModelSet, recovers: bool
) -> None:
    run = Run(book)
    before_the_close = [opened(), tick(3), payment(20), closed(25)]
    keys = [b"B1", None, b"B1", b"B1"]
    run.take([record(at, key, e.to_json()) for at, (key, e) in enumerate(zip(keys, before_the_close, strict=True))])
    if recovers:
        run.recover()
    run.take([record(4, None, tick(70).to_json())])
    assert decode_state(run.table["B1"]).applied_offset == 3


def test_a_tick_raises_days_past_due_and_the_strategy(book: ModelSet) -> None:
    run = Run(book)
    records = [record(0, b"B1", opened().to_json())]
    records += [record(1 + n, None, tick(n).to_json()) for n in range(31 + 40)]
    result = run.take(records)
    assert [action.strategy for action in result.actions][-1] == "aggressive_recovery"
    last = result.actions[-1]
    assert last.event_type == "day_closed"
    assert last.reasons[0].feature == "days_past_due"
    assert sum(run.engine.portfolio.values()) == 1
    assert result.rolls == {("current", "1-29"): 1, ("1-29", "30-59"): 1}
    assert {bucket: minor for bucket, minor in run.engine.arrears_minor.items() if minor} == {"30-59": 2 * 500_00}


def test_rolls_lead_from_where_borrowers_began_to_where_the_portfolio_stands(book: ModelSet) -> None:
    run, stands = Run(book), Counter[str]()
    for batch in in_batches(simulated(FaultConfig(duplicates=0.05), FaultTally()), 50):
        for (left, entered), count in run.take(batch).rolls.items():
            stands.update({left: -count, entered: count})
    for (bucket, _), count in run.engine.portfolio.items():
        stands[bucket] -= count
    # All 60 borrowers began as current; what rolled away from there is where it is found now.
    assert {bucket: count for bucket, count in stands.items() if count} == {"current": -60}


def dead(run: Run) -> list[tuple[int, str]]:
    return [(offset, reason) for _, offset, _, reason, _ in run.refused]


@pytest.mark.parametrize("recovers", [False, True])
def test_an_event_of_a_known_borrower_on_another_partition_is_refused_and_not_taken_for_redelivered(
    book: ModelSet, recovers: bool
) -> None:
    run = Run(book)
    run.take(records_of(opened(), tick(1), tick(2)))
    if recovers:
        run.recover()
    result = run.take([record(0, b"B1", payment(31).to_json(), partition=1)])
    assert dead(run) == [(0, "wrong_partition")]
    assert (result.redelivered, result.applied.total()) == (0, 0)
    assert decode_state(run.table["B1"]).account.loans[0].ledger == ()


def test_where_the_partitioner_is_known_an_unknown_borrower_is_refused_as_well(book: ModelSet) -> None:
    run = Run(book, place=murmur2_placement(4))
    homes = {f"B{n}": murmur2_placement(4)(f"B{n}".encode()) for n in range(40)}
    for borrower_id, home in homes.items():
        for partition in range(4):
            run.take([record(0, borrower_id.encode(), opened("L1", borrower_id).to_json(), partition)])
            assert (borrower_id in run.table) == (partition >= home)
    assert {reason for *_, reason, _ in run.refused} == {"wrong_partition"}
    assert len(run.refused) == 40 * 3


def test_a_looping_producer_cannot_walk_the_calendar_into_the_years_to_come(book: ModelSet) -> None:
    run, walked = Run(book), Run(book, Rules(days_ahead=None))
    published = stamp(day(10))
    ticks = [Record(0, n, None, tick(n).to_json(), published) for n in range(1000)]
    for each in (run, walked):
        each.take(ticks)
        each.take([Record(0, 1000, b"B1", opened().to_json(), published)])
    assert run.engine.memory.clock(0).day == day(12).toordinal()
    assert [reason for _, reason in dead(run)] == ["future_date"] * (999 - 12)
    assert walked.engine.memory.clock(0).day == day(999).toordinal()
    assert "B1" in run.table


def test_a_tick_that_comes_late_is_taken(book: ModelSet) -> None:
    run = Run(book)
    run.take([Record(0, n, None, tick(n).to_json(), stamp(day(500 + n))) for n in range(5)])
    assert run.refused == []
    assert run.engine.memory.clock(0).day == day(4).toordinal()


def test_a_tick_that_was_refused_closes_no_day_when_it_is_delivered_again(book: ModelSet) -> None:
    told = [(opened(), 0), (tick(0), 0), (tick(40), 0), (tick(1), 1), (tick(2), 2)]
    records = [
        Record(0, at, b"B1" if isinstance(event, LoanEvent) else None, event.to_json(), stamp(day(published)))
        for at, (event, published) in enumerate(told)
    ]
    run, again = Run(book), Run(book)
    run.take(records)
    assert dead(run) == [(2, "future_date")]
    # A crash after the clock's row and before the borrower's: all is delivered again.
    result = again.engine.process(records, book, NOW)
    again.table["\x00clock/0"] = result.rows["\x00clock/0"][1]
    again.recover()
    again.take(records)
    assert again.states() == run.states()
    assert dead(again) == dead(run)
