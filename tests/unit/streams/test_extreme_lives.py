"""Lives that the contracts allow and nobody has lived: none of them is poison."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from streams.account.codec import decode_state
from streams.contracts.actions import Action
from streams.contracts.events import LoanOpened, decode_event
from streams.contracts.labels import Label
from streams.contracts.records import Record
from streams.decide import BatchResult, Rules
from streams.history.retell import retell
from streams.score import ModelSet
from tests.support.engine import Run, in_batches, record, records_of, stamp
from tests.support.factories import action, closed, day, missed, opened, payment, tick

LARGEST = Decimal("999999999999.99")
amounts = st.one_of(
    st.sampled_from([Decimal("0.01"), Decimal(1), Decimal(500), Decimal("99999999999.99"), LARGEST]),
    st.decimals(Decimal("0.01"), LARGEST, places=2),
)
near = st.integers(-200, 900).map(day)
days = st.one_of(near, near, near, st.sampled_from([date(1900, 1, 1), date(1970, 1, 1), date(2999, 12, 31)]))
stamps = st.one_of(
    near.map(stamp), near.map(stamp), st.sampled_from([-1, 0, 1_780_000_000, stamp(date(2999, 12, 31)), 2**63 - 1])
)
loans = st.sampled_from(["L1", "L1", "L1", "L2"])
names = st.one_of(st.uuids().map(str), st.sampled_from(["a", "b"]))


def moment(on: date) -> datetime:
    return datetime(on.year, on.month, on.day, 12, tzinfo=UTC)


@st.composite
def openings(draw: st.DrawFn) -> dict[str, Any]:
    on = draw(days)
    principal = draw(amounts)
    sensible = draw(st.booleans())
    tenure = draw(st.sampled_from([1, 2, 12, 480]))
    emi = max((principal / tenure).quantize(Decimal("0.01")), Decimal("0.01")) if sensible else draw(amounts)
    first = date.fromordinal(min(on.toordinal() + draw(st.integers(0, 400)), date(2999, 12, 31).toordinal()))
    return {
        "type": "loan_opened",
        "profile": {
            "age": 40,
            "gender": "other",
            "employment_type": draw(st.sampled_from(["salaried", "unemployed"])),
            "monthly_income": str(draw(st.one_of(st.just(Decimal(0)), amounts))),
            "num_dependents": 0,
            "collateral_value": str(draw(st.one_of(st.just(Decimal(0)), amounts))),
        },
        "terms": {
            "principal": str(principal),
            "annual_rate": str(draw(st.sampled_from([Decimal(0), Decimal("0.0001"), Decimal(12), Decimal(100)]))),
            "tenure_months": tenure,
            "emi": str(emi),
            "first_due_date": first.isoformat(),
        },
        "on": on,
    }


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    on = draw(days)
    kind = draw(st.sampled_from(["payment_received", "payment_reversed", "emi_missed", "loan_closed", "loan_closed"]))
    value_date = date.fromordinal(max(on.toordinal() + draw(st.integers(-130, 3)), date(1900, 1, 1).toordinal()))
    value_date = min(value_date, date(2999, 12, 31))
    told: dict[str, dict[str, Any]] = {
        "payment_received": {"amount": str(draw(amounts)), "channel": "cash", "value_date": value_date.isoformat()},
        "payment_reversed": {
            "payment_event_id": draw(names),
            "payment_value_date": value_date.isoformat(),
            "reason": "disputed",
        },
        "emi_missed": {"instalment_number": draw(st.sampled_from([1, 480])), "due_date": draw(days).isoformat()},
        "loan_closed": {"reason": draw(st.sampled_from(["settled", "written_off", "refinanced"]))},
    }
    return {"type": kind, "on": on, **told[kind]}


@st.composite
def life(draw: st.DrawFn) -> list[Record]:
    """Openings, changes and ticks of one borrower and his neighbour, in any order, under odd time stamps."""
    records = []
    ticks = days.map(lambda on: {"on": on})
    told = [draw(openings()), *draw(st.lists(st.one_of(openings(), changes(), changes(), ticks), max_size=20))]
    patient = draw(st.booleans())
    for offset, body in enumerate(told):
        on = body.pop("on")
        common = {"event_id": draw(names), "occurred_at": moment(on).isoformat()}
        published = stamp(on) if patient else draw(stamps)
        if not body:
            body = {"type": "day_closed", "business_date": on.isoformat(), "partition": 0}
            records.append(Record(0, offset, None, json.dumps(body | common).encode(), published))
            continue
        borrower = draw(st.sampled_from(["B1", "B1", "B1", "B1", "B2"]))
        common |= {"borrower_id": borrower, "loan_id": draw(loans)}
        records.append(Record(0, offset, borrower.encode(), json.dumps(body | common).encode(), published))
    return records


def assert_sound(results: Sequence[BatchResult], records: Sequence[Record]) -> None:
    ended = sum(sum(r.applied.values()) + r.duplicates + r.redelivered + len(r.dead_letters) for r in results)
    assert ended == len(records)
    assert [each for r in results for each in r.dead_letters if each.reason == "internal_error"] == []
    for result in results:
        for _, sent in result.outgoing:
            contract: type[BaseModel] = Action if sent.kind == "action" else Label
            assert contract.model_validate_json(sent.value).model_dump_json().encode() == sent.value


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(life(), st.sampled_from([1, 3, 100]), st.sampled_from([None, 2]))
def test_every_record_of_an_extreme_life_is_applied_or_refused(
    book: ModelSet, records: list[Record], size: int, days_ahead: int | None
) -> None:
    for each in records:
        assert decode_event(each.value or b"")
    run = Run(book, Rules(days_ahead=days_ahead))
    assert_sound([run.take(batch) for batch in in_batches(records, size)], records)
    run.recover()
    for borrower_id in ("B1", "B2"):
        own = [each for each in records if each.key in (borrower_id.encode(), None)]
        assert len(retell(borrower_id, own, None, run.rules).events) == sum(each.key is not None for each in own)


def rich(emi: str, tenure: int, principal: str) -> LoanOpened:
    event = opened(tenure=tenure)
    terms = event.terms.model_copy(update={"emi": Decimal(emi), "principal": Decimal(principal)})
    return event.model_copy(update={"terms": terms})


@pytest.mark.parametrize(
    ("emi", "tenure", "principal", "told"),
    [
        ("400000000000.00", 12, "900000000000.00", "999999999999"),
        ("999999999999.99", 480, "999999999999.99", "999999999999"),
        ("100.01", 1, "1.00", "100 times the principal"),
        ("0.03", 480, "0.01", "100 times the principal"),
    ],
)
def test_terms_beyond_what_a_loan_can_be_are_refused_by_name(
    book: ModelSet, emi: str, tenure: int, principal: str, told: str
) -> None:
    run = Run(book)
    run.take(records_of(rich(emi, tenure, principal), tick(300), opened("L2", "B2")))
    ((*_, reason, detail),) = run.refused
    assert reason == "bad_terms"
    assert "terms.emi" in detail
    assert told in detail
    assert list(run.states()) == ["B2"]


def test_the_largest_loan_there_can_be_goes_to_recovery(book: ModelSet) -> None:
    run = Run(book)
    result = run.take(records_of(rich("999999999999.99", 1, "999999999999.99"), tick(200)))
    assert run.refused == []
    assert (result.actions[-1].arrears, result.actions[-1].strategy) == (LARGEST, "aggressive_recovery")


def test_an_action_holds_arrears_of_any_size() -> None:
    told = action(arrears="399999999999999.96")
    assert Action.model_validate_json(told.model_dump_json()) == told


def test_a_closing_told_after_the_window_ends_collection_and_nothing_else(book: ModelSet) -> None:
    run = Run(book)
    result = run.take(records_of(opened(), payment(31), missed(1, day(31), 250), closed(60), opened("L2", "B2")))
    assert run.refused == []
    assert [(each.loan_id, each.strategy, each.score) for each in result.actions][-1] == ("L1", "none", None)
    assert decode_state(run.table["B1"]).decision.has_open_loan is False
    # The next event about another loan finds it gone.
    run.take(records_of(opened("L3"), first=5))
    assert [loan.loan_id for loan in decode_state(run.table["B1"]).account.loans] == ["L3"]


def test_the_loan_that_ended_is_the_one_the_action_names(book: ModelSet) -> None:
    run = Run(book)
    second = opened("L2")
    end_of = {name: closed(40).model_copy(update={"loan_id": name, "event_id": f"end-{name}"}) for name in ("L1", "L2")}
    result = run.take(records_of(opened(), second, end_of["L2"], end_of["L1"]))
    assert [(each.loan_id, each.strategy) for each in result.actions] == [("L1", "none")]


@pytest.mark.parametrize("timestamp_ms", [-1, -(10**15), 1_780_000_000_000_000, 2**63 - 1])
def test_a_time_stamp_that_is_none_is_a_dead_letter(book: ModelSet, timestamp_ms: int) -> None:
    run = Run(book)
    first, last = record(0, b"B1", opened().to_json()), record(2, b"B1", payment(31).to_json())
    run.take([first, Record(0, 1, b"B1", payment(30).to_json(), timestamp_ms), last])
    ((_, offset, _, reason, detail),) = run.refused
    assert (offset, reason) == (1, "bad_timestamp")
    assert str(timestamp_ms) in detail
    assert decode_state(run.table["B1"]).applied_offset == 2


def test_the_days_of_an_event_lie_in_the_years_of_loans() -> None:
    body = json.loads(payment(31).to_json())
    for name, value in (
        ("value_date", "1899-12-31"),
        ("value_date", "3000-01-01"),
        ("occurred_at", "3000-01-01T00:00:00Z"),
    ):
        with pytest.raises(ValueError, match=name):
            decode_event(json.dumps(body | {name: value}).encode())
