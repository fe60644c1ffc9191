"""A borrower's past told again is what the stream made of it."""

import time
import zlib

import pytest

from producers.faults import FaultConfig, FaultTally
from producers.publisher import simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.contracts.records import Record
from streams.history.offline import number_offsets
from streams.history.retell import retell
from tests.support.factories import closed, day, missed, opened, payment, reversal
from tests.support.history import RULES, borrower_records, stamp, states_after

PARTITIONS = 2


@pytest.fixture(scope="module")
def records() -> list[Record]:
    simulation = SimulationConfig(borrowers=40, days=200, seed=5, partitions=PARTITIONS)
    faults = FaultConfig(duplicates=0.05, disorder=0.05, malformed=0.03)
    messages = simulated_records(simulation, faults, FaultTally())
    return list(number_offsets(messages, lambda key: zlib.crc32(key) % PARTITIONS, int(time.time() * 1000)))


def test_every_borrower_is_told_to_where_the_stream_left_it(records: list[Record]) -> None:
    for borrower_id, state in states_after(records).items():
        told = retell(borrower_id, borrower_records(records, state), None, RULES)
        newest = told.days[-1]
        assert (newest.day, newest.days_past_due, newest.arrears) == (
            state.account.as_of,
            state.decision.days_past_due,
            state.decision.arrears,
        )
        assert [point.day for point in told.days] == sorted({point.day for point in told.days})


def test_a_history_that_begins_late_goes_on_from_a_state(records: list[Record]) -> None:
    half = len(records) // 2
    before, after = states_after(records[:half]), states_after(records)
    told_some_days = False
    for borrower_id, base in before.items():
        own = borrower_records(records, base)
        whole, part = retell(borrower_id, own, None, RULES), retell(borrower_id, own, base, RULES)
        told_some_days |= len(part.days) > 1
        assert [point for point in whole.days if point.day > base.account.as_of] == part.days[1:]
        assert part.days[-1].days_past_due == after[borrower_id].decision.days_past_due
        for past in part.events:
            assert (past.fate == "earlier") == (past.record.offset <= base.applied_offset and not past.detail), past
    assert told_some_days


def test_what_became_of_each_message_is_told() -> None:
    first = payment(31)
    events = [opened(), first, first, reversal(first, 33), missed(2, day(0), 36), closed(40)]
    key = b"B1"
    records = [Record(0, at, key, event.to_json(), stamp(at)) for at, event in enumerate(events)]
    records.append(Record(0, len(records), key, b"{", stamp(len(records))))
    told = retell("B1", records, None, RULES)
    assert [past.fate for past in told.events] == [
        "applied",
        "applied",
        "duplicate",
        "applied",
        "unknown_instalment",
        "applied",
        "invalid_event",
    ]
    assert told.events[-1].event is None
    assert "Invalid JSON" in told.events[-1].detail
