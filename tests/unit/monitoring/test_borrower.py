"""A borrower's past told again, and how it is shown."""

import json
import time
import zlib
from datetime import UTC, datetime

import pytest
from rich.console import Console

from monitoring.terminal.borrower import render
from producers.faults import FaultConfig, FaultTally
from producers.publisher import simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.account.codec import CLOCK_PREFIX, BorrowerState, decode_state
from streams.contracts.records import Record
from streams.decide import Rules
from streams.history.describe import describe
from streams.history.offline import number_offsets, run_offline
from streams.history.read import BorrowerHistory
from streams.history.retell import retell
from streams.score import ModelSet
from tests.support.factories import START, action, closed, day, missed, opened, payment, reversal, tick

PARTITIONS = 2
RULES = Rules()


def borrower_records(records: list[Record], state: BorrowerState) -> list[Record]:
    """What `read_history` finds: the borrower's own records and its partition's ticks."""
    key = state.account.borrower_id.encode()
    return [each for each in records if each.partition == state.partition and each.key in (key, None)]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    simulation = SimulationConfig(borrowers=40, days=200, seed=5, partitions=PARTITIONS)
    faults = FaultConfig(duplicates=0.05, disorder=0.05, malformed=0.03)
    messages = simulated_records(simulation, faults, FaultTally())
    return list(number_offsets(messages, lambda key: zlib.crc32(key) % PARTITIONS, int(time.time() * 1000)))


def states_after(records: list[Record]) -> dict[str, BorrowerState]:
    table: dict[str, bytes] = {}
    assert list(run_offline(records, ModelSet(None), RULES, table))
    return {key: decode_state(row) for key, row in table.items() if not key.startswith(CLOCK_PREFIX)}


def test_every_borrower_is_told_to_where_the_stream_left_it(records: list[Record]) -> None:
    for borrower_id, state in states_after(records).items():
        told = retell(borrower_id, borrower_records(records, state), None, RULES)
        newest = told.days[-1]
        assert (newest.day, newest.days_past_due, newest.arrears) == (
            state.account.as_of,
            state.watch.days_past_due,
            state.watch.arrears,
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
        assert part.days[-1].days_past_due == after[borrower_id].watch.days_past_due
        for past in part.events:
            assert (past.fate == "earlier") == (past.record.offset <= base.applied_offset and not past.detail), past
    assert told_some_days


def test_what_became_of_each_message_is_told() -> None:
    first = payment(31)
    events = [opened(), first, first, reversal(first, 33), missed(2, day(0), 36), closed(40)]
    key = b"B1"
    records = [Record(0, at, key, event.to_json(), _stamp(at)) for at, event in enumerate(events)]
    records.append(Record(0, len(records), key, b"{", _stamp(len(records))))
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


def _stamp(at: int) -> int:
    return int(datetime(START.year, START.month, START.day, tzinfo=UTC).timestamp() + 86_400 * (60 + at)) * 1000


def history_of(borrower_id: str) -> BorrowerHistory:
    """An unpaid loan of a borrower, 40 days on, with a decision on it."""
    key = borrower_id.encode()
    messages: list[tuple[int | None, bytes | None, bytes]]
    messages = [(None, key, opened(borrower=borrower_id).to_json())]
    messages += [(0, None, tick(offset).to_json()) for offset in range(1, 75)]
    records = list(number_offsets(messages, lambda _: 0, _stamp(40)))
    state = states_after(records)[borrower_id]
    reason = {"feature": "days_past_due", "value": 9, "contribution": 0.2, "text": "9 [bold]days[/] past due"}
    decided = action(borrower_id=borrower_id, reasons=[reason])
    timeline = retell(borrower_id, borrower_records(records, state), None, RULES)
    return BorrowerHistory(state, [state], timeline, None, [decided], [])


def test_days_past_due_grow_day_by_day_and_money_is_a_decimal_string() -> None:
    told = describe(history_of("B1"), RULES.account)
    assert json.loads(json.dumps(told)) == told
    assert (told["days_past_due"], told["delinquency_bucket"], told["arrears"]) == (43, "30-59", "1000.00")
    assert [point["days_past_due"] for point in told["days"][-3:]] == [41, 42, 43]
    assert {score["source"] for score in told["scores"]} == {"action", "prediction", "state"}


def test_no_profile_is_shown() -> None:
    text = json.dumps(describe(history_of("B1"), RULES.account))
    for personal in ("gender", "female", "age", "dependents", "income", "3000"):
        assert f'"{personal}' not in text


def test_markup_in_an_id_or_a_text_stays_text() -> None:
    hostile = "[red]B1[/]"
    console = Console(width=200, record=True, force_terminal=False)
    console.print(render(describe(history_of(hostile), RULES.account)))
    shown = console.export_text()
    assert f"borrower {hostile}" in shown
    assert "9 [bold]days[/] past due" in shown
