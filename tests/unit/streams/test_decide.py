"""The engine without Kafka: counts add up, batches do not matter, and a crash anywhere repairs itself."""

import time
import zlib
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from random import Random

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from models.serving.forest import Calibration, Forest
from models.serving.segments import Segmenter
from producers.faults import MALFORMED_KINDS, FaultConfig, FaultTally
from producers.publisher import simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.account.codec import BorrowerState, decode_clock, decode_state
from streams.contracts.actions import Action
from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.labels import Label
from streams.contracts.records import Record
from streams.contracts.vocabulary import Segment
from streams.decide import BatchResult, Engine, Rules
from streams.history.offline import number_offsets
from streams.score import ModelSet
from tests.support.factories import closed, opened, payment, tick

NOW = datetime.now(UTC)
PARTITIONS = 2


@pytest.fixture(scope="module")
def book() -> ModelSet:
    """A real, small forest: risk rises with days past due."""
    draw = np.random.default_rng(5)
    rows = draw.random((600, len(FEATURE_NAMES))) * 40
    risky = rows[:, 0] + draw.normal(0, 6, 600) > 20
    classifier = RandomForestClassifier(15, max_depth=6, random_state=1).fit(rows, risky)
    forest = Forest.from_sklearn(classifier, FEATURE_NAMES, Calibration(), "test")
    # Two segments, parted at 15 days past due.
    centres = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 30.0]])
    names = (Segment.BALANCED, Segment.HIGH_LOAN_HIGHER_RISK)
    return ModelSet(forest, Segmenter(np.zeros(5), np.array([1e9, 1e9, 1e9, 1e9, 1]), centres, names))


def simulated(faults: FaultConfig, tally: FaultTally) -> list[Record]:
    config = SimulationConfig(borrowers=60, days=150, seed=3, partitions=PARTITIONS)
    return list(
        number_offsets(
            simulated_records(config, faults, tally), lambda key: zlib.crc32(key) % PARTITIONS, int(time.time() * 1000)
        )
    )


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return simulated(FaultConfig(duplicates=0.05, disorder=0.05, malformed=0.03), FaultTally())


def in_batches(records: list[Record], size: int) -> Iterable[list[Record]]:
    return (records[at : at + size] for at in range(0, len(records), size))


class Run:
    """An engine with a dict as its table, and what it sent."""

    def __init__(self, book: ModelSet) -> None:
        self.book = book
        self.table: dict[str, bytes] = {}
        self.sent: list[tuple[int, str, bytes]] = []
        self.engine = Engine(Rules(), self.table.get)

    def take(self, batch: list[Record]) -> BatchResult:
        result = self.engine.process(batch, self.book, NOW)
        self.table.update({key: row for key, (_, row) in result.rows.items()})
        self.send(result)
        return result

    def send(self, result: BatchResult) -> None:
        self.sent.extend((partition, each.kind, each.value) for partition, each in result.outgoing)

    def recover(self) -> None:
        self.engine = Engine(Rules(), self.table.get)
        self.engine.load(
            [decode_state(row) for key, row in self.table.items() if not key.startswith("\x00")],
            [decode_clock(row) for key, row in self.table.items() if key.startswith("\x00")],
            {},
        )

    def states(self) -> dict[str, tuple[object, ...]]:
        def facts(state: BorrowerState) -> tuple[object, ...]:
            return state.account, state.watch, state.partition, state.applied_offset

        return {key: facts(decode_state(row)) for key, row in self.table.items() if not key.startswith("\x00")}


@pytest.fixture(scope="module")
def uninterrupted(book: ModelSet, records: list[Record]) -> Run:
    run = Run(book)
    for batch in in_batches(records, 50):
        run.take(batch)
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
    kinds = {kind for _, kind, _ in uninterrupted.sent}
    assert kinds == {"action", "label"}


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
    run = Run(book)
    for batch in in_batches(records, size):
        run.take(batch)
    assert run.states() == uninterrupted.states()
    assert sorted(run.sent) == sorted(uninterrupted.sent)


@pytest.mark.parametrize("seed", range(6))
def test_a_crash_between_any_two_writes_loses_and_doubles_nothing(
    book: ModelSet, records: list[Record], uninterrupted: Run, seed: int
) -> None:
    draw = Random(seed)
    run = Run(book)
    at = committed = crashes = 0
    while at < len(records):
        # A batch that is read again seldom ends where it ended before: old records and new ones share it.
        batch = records[at : at + draw.randint(1, 80)]
        if crashes < 40 and draw.random() < 0.4:
            crashes += 1
            result = run.engine.process(batch, book, NOW)
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


def record(offset: int, key: bytes | None, value: bytes, partition: int = 0) -> Record:
    return Record(partition, offset, key, value, int(time.time() * 1000))


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
