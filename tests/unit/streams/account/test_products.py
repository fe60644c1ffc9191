"""All kinds of loans, told in any order: the same state, as an independent recomputation row by row has it."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.due_dates import due_day
from streams.contracts.events import AccountEvent
from tests.support.book import PROFILE, Book, annuity, event, opening, pay, reverse

OPENED = date(2025, 1, 10)
TOLD = "2025-05-20"


def scheduled(*runs: dict[str, Any]) -> dict[str, Any]:
    terms = {"principal": "600.00", "annual_rate": "0", "schedule": list(runs)}
    return {"day": OPENED.isoformat(), "profile": PROFILE, "terms": terms}


def run(first: str, count: int, amount: str, every: int = 1, unit: str = "months") -> dict[str, Any]:
    return {"first_due_date": first, "count": count, "amount": amount, "every": every, "unit": unit}


PRODUCTS: dict[str, dict[str, Any]] = {
    "annuity": annuity(OPENED.isoformat(), "2025-02-10", "100.00", 12, "1200.00"),
    "odd last": annuity(OPENED.isoformat(), "2025-01-31", "106.00", 6, "600.00", "12"),
    "weekly": scheduled(run("2025-01-17", 40, "20.00", 7, "days")),
    "30 days": scheduled(run("2025-02-09", 6, "110.00", 30, "days")),
    "step-up and holiday": scheduled(
        run("2025-02-10", 1, "50.00"), run("2025-04-10", 3, "100.00"), run("2025-07-31", 2, "200")
    ),
    "bullet": scheduled(run("2025-01-17", 1, "620.00")),
}


def rows(product: str) -> list[tuple[date, Decimal]]:
    """What falls due, written out."""
    terms = PRODUCTS[product]["terms"]
    if "schedule" not in terms:
        first, emi, tenure = date.fromisoformat(terms["first_due_date"]), Decimal(terms["emi"]), terms["tenure_months"]
        found = [(date.fromordinal(due_day(first.toordinal(), number)), emi) for number in range(1, tenure + 1)]
        if product == "odd last":
            # 600 × 1.01^5 − 106 × (1.01^5 − 1) / 0.01 = 90.89; with a month of interest 91.80.
            found[-1] = (found[-1][0], Decimal("91.80"))
        return found
    found = []
    for each in terms["schedule"]:
        first = date.fromisoformat(each["first_due_date"])
        for number in range(each["count"]):
            day = (
                first + timedelta(days=number * each["every"])
                if each["unit"] == "days"
                else date.fromordinal(due_day(first.toordinal(), number * each["every"] + 1))
            )
            found.append((day, Decimal(each["amount"])))
    return found


def recomputed(product: str, told: list[AccountEvent], as_of: date) -> tuple[int, int, Decimal]:
    """Days past due, missed count and arrears from first principles."""
    taken_back = {each.payment_event_id for each in told if each.type == "payment_reversed"}
    payments = {each.event_id: each for each in told if each.type == "payment_received"}
    held = {
        each.from_date + timedelta(days=step)
        for each in told
        if each.type == "hold_placed" and each.until_date is not None
        for step in range((each.until_date - each.from_date).days + 1)
    }

    def paid_by(day: date) -> Decimal:
        amounts = [each.amount for name, each in payments.items() if name not in taken_back and each.value_date <= day]
        return sum(amounts, Decimal(0))

    def late(due: date, day: date) -> int:
        return len([n for n in range(1, (day - due).days + 1) if due + timedelta(days=n) not in held])

    dpd = missed = 0
    owed = Decimal(0)
    for due, amount in rows(product):
        if due >= as_of:
            break
        owed += amount
        tolerance = max(Decimal(1), (amount * 100 // 200) / 100)
        if owed - paid_by(as_of) > tolerance and not dpd:
            dpd = late(due, as_of)
        grace_end = due
        while late(due, grace_end + timedelta(days=1)) <= 3:
            grace_end += timedelta(days=1)
        missed += grace_end < as_of and owed - paid_by(grace_end) > tolerance
    return dpd, missed, max(owed - paid_by(as_of), Decimal(0))


histories = st.lists(
    st.tuples(st.integers(0, 108), st.integers(1, 25_000), st.one_of(st.none(), st.integers(0, 9))), max_size=7
)
spans = st.one_of(st.none(), st.tuples(st.integers(0, 100), st.integers(0, 40)))


def events_of(history: list[tuple[int, int, int | None]], span: tuple[int, int] | None) -> list[AccountEvent]:
    told: list[AccountEvent] = []
    for number, (after, cents, bounce) in enumerate(history):
        day = OPENED + timedelta(days=after)
        told.append(pay(f"p{number}", day.isoformat(), f"{cents / 100:.2f}"))
        if bounce is not None:
            back = (day + timedelta(days=bounce)).isoformat()
            told.append(reverse(f"r{number}", f"p{number}", day.isoformat(), back))
    if span is not None:
        first = OPENED + timedelta(days=span[0])
        until = (first + timedelta(days=span[1])).isoformat()
        fields = {"effect": "dpd", "reason": "disaster", "from_date": first.isoformat(), "until_date": until}
        told.append(event("hold_placed", "h", first.isoformat(), None, hold_id="h", **fields))
    return told


@pytest.mark.parametrize("product", PRODUCTS)
@settings(max_examples=40, deadline=None)
@given(history=histories, span=spans, data=st.data())
def test_any_order_with_duplicates_ends_as_recomputed(
    product: str, history: list[tuple[int, int, int | None]], span: tuple[int, int] | None, data: st.DataObject
) -> None:
    told = events_of(history, span)
    repeats = data.draw(st.lists(st.sampled_from(told), max_size=3)) if told else []
    straight, shuffled = Book(), Book()
    for book, events in ((straight, told), (shuffled, data.draw(st.permutations(told + repeats)))):
        book.tell(opening("L", **PRODUCTS[product]))
        book.tell_on(TOLD, *events)
        book.close(TOLD, "2025-05-21")
        assert book.refused == []
    assert straight.facts() == recomputed(product, told, date(2025, 5, 21))
    one, other = straight.loan(), shuffled.loan()
    assert shuffled.facts() == straight.facts()
    assert (one.status, one.status_since, one.worst_dpd) == (other.status, other.status_since, other.worst_dpd)
