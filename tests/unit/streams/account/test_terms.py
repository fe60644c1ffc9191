"""Changes of terms, worked by hand: what falls due from a day on, what stays told, and that order does not matter."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.account.loan import Run
from streams.account.obligations import due_before, due_on, run_day
from streams.account.rules import AccountRules
from streams.contracts.events import AccountEvent
from streams.contracts.vocabulary import LoanStatus
from tests.support.book import PROFILE, Book, annuity, event, opening, pay, reverse

LOAN = annuity("2025-01-10", "2025-02-10", "100.00", 12, "1200.00")
RULES = AccountRules()


def changed(
    name: str, effective: str, *runs: dict[str, Any], kind: str = "instalment", told: str | None = None, **fields: Any
) -> AccountEvent:
    told_fields = {"effective_date": effective, "kind": kind, "forbearance": False, "schedule": list(runs), **fields}
    return event("terms_changed", name, told or effective, **told_fields)


def taken_back(name: str, effective: str, told: str) -> AccountEvent:
    return event("terms_change_reversed", f"{name}-back", told, change_event_id=name, effective_date=effective)


def run(first: str, count: int, amount: str, **fields: Any) -> dict[str, Any]:
    return {"first_due_date": first, "count": count, "amount": amount, **fields}


def owed_on(book: Book, day: str) -> tuple[int, int]:
    """How many obligations have fallen due before a day, and what they come to in cents."""
    return due_before(book.loan(), date.fromisoformat(day).toordinal(), RULES)


def test_another_instalment_replaces_those_due_from_its_day_on() -> None:
    """Three of 100 until April, then 150 from 10 May on: before 11 June 3 × 100 + 2 × 150 = 600."""
    book = Book()
    book.tell(opening("L", **LOAN), changed("c", "2025-05-01", run("2025-05-10", 6, "150.00")))
    assert owed_on(book, "2025-05-10") == (3, 300_00)
    assert owed_on(book, "2025-06-11") == (5, 600_00)
    assert owed_on(book, "2026-06-11") == (9, 1200_00)
    assert book.loan().emi == 150_00


def test_a_due_day_that_moves_keeps_what_was_due_before() -> None:
    """Due on the 10th until March, on the 25th from April on. March is unpaid: 22 days on 1 April, 51 on the 30th."""
    book = Book()
    book.tell(opening("L", **LOAN), pay("p1", "2025-02-10", "100.00"))
    book.close("2025-02-10", "2025-03-31")
    book.tell(changed("c", "2025-04-01", run("2025-04-25", 10, "100.00"), kind="due_day"))
    assert book.facts() == (22, 1, Decimal(100))
    book.close("2025-04-01", "2025-04-30")
    assert book.facts() == (51, 2, Decimal(200))


def test_a_rate_reset_changes_rate_and_instalment() -> None:
    book = Book()
    reset = changed("c", "2025-03-01", run("2025-03-10", 11, "104.17"), kind="rate", annual_rate="9.5")
    book.tell(opening("L", **LOAN), reset)
    assert (book.loan().annual_rate_e4, book.loan().emi) == (95_000, 104_17)
    book.tell(taken_back("c", "2025-03-01", "2025-03-05"))
    assert (book.loan().annual_rate_e4, book.loan().emi) == (0, 100_00)
    assert owed_on(book, "2026-02-01") == (12, 1200_00)


def test_a_re_ageing_takes_over_arrears_and_leaves_told_what_was_late() -> None:
    """Unpaid since February; 50 came in March. On 1 May 300 fell due, 250 of it unpaid: 80 days late on that day.

    Re-aged from 2 May: 50 + 12 × 100 instead of what was left; nothing is owed until 10 June, and three stay missed.
    """
    book = Book()
    book.tell(opening("L", **LOAN), pay("p1", "2025-03-05", "50.00"))
    book.close("2025-03-05", "2025-05-01")
    assert book.facts() == (80, 3, Decimal(250))
    book.tell(changed("c", "2025-05-02", run("2025-06-10", 12, "95.83"), kind="re_age", forbearance=True))
    book.close("2025-05-02", "2025-06-10")
    assert book.facts() == (0, 3, Decimal(0))
    assert book.loan().worst_dpd == 80
    assert date.fromordinal(book.loan().forborne_on) == date(2025, 5, 2)
    book.close("2025-06-11", "2025-06-20")
    assert book.facts() == (10, 4, Decimal("95.83"))
    book.tell(pay("p2", "2025-06-20", "95.83", told="2025-06-21"))
    assert book.facts() == (0, 4, Decimal(0))


def test_a_payment_told_late_from_before_a_re_ageing_pays_the_new_instalments() -> None:
    """80 more with value 20 April: of the 300 due by then 130 were paid, so 170 are taken over; nothing is credit."""
    book = Book()
    book.tell(opening("L", **LOAN), pay("p1", "2025-03-05", "50.00"))
    book.tell(changed("c", "2025-05-02", run("2025-06-10", 12, "95.83"), kind="re_age"))
    book.tell(pay("late", "2025-04-20", "80.00", told="2025-05-10"))
    book.close("2025-05-10", "2025-06-20")
    assert book.facts()[0] == 10
    assert book.facts()[2] == Decimal("95.83")
    # 400 more: 300 - 130 = 170 would have been owed; the credit beyond it pays the new instalments.
    book.tell(pay("more", "2025-04-25", "270.00", told="2025-06-21"))
    assert book.facts()[2] == Decimal(0)


def test_a_change_that_is_taken_back_was_never_told() -> None:
    straight, back = Book(), Book()
    change = changed("c", "2025-05-02", run("2025-06-10", 12, "95.83"), kind="re_age")
    for book in (straight, back):
        book.tell(opening("L", **LOAN))
        book.close("2025-02-10", "2025-05-01")
    back.tell(change)
    back.close("2025-05-02", "2025-05-20")
    assert back.facts()[0] == 0
    back.tell(taken_back("c", "2025-05-02", "2025-05-21"))
    for book in (straight, back):
        book.close("2025-05-21", "2025-05-25")
    assert back.facts() == straight.facts()
    assert back.loan().status is straight.loan().status is LoanStatus.DEFAULT
    assert back.loan().worst_dpd == straight.loan().worst_dpd == 104


def test_a_default_ends_with_a_re_ageing_and_begins_its_probation() -> None:
    """Default on 11 May, 90 days after 10 February; re-aged from 20 May, so probation from then until 18 August."""
    book = Book()
    book.tell(opening("L", **LOAN))
    book.close("2025-02-10", "2025-05-19")
    assert book.loan().status is LoanStatus.DEFAULT
    book.tell(changed("c", "2025-05-20", run("2025-12-10", 12, "120.00"), kind="re_age", forbearance=True))
    book.close("2025-05-20", "2025-08-17")
    assert (book.loan().status, date.fromordinal(book.loan().status_since)) == (LoanStatus.PROBATION, date(2025, 5, 20))
    book.close("2025-08-18", "2025-08-18")
    assert book.loan().status is LoanStatus.PERFORMING


def test_a_month_end_schedule_that_is_cut_keeps_its_days() -> None:
    book = Book()
    book.tell(
        opening("L", **annuity("2025-01-10", "2025-01-31", "100.00", 12, "1200.00")), pay("p", "2025-02-28", "150.00")
    )
    book.tell(changed("c", "2025-05-10", run("2025-06-30", 10, "100.00"), kind="re_age", told="2025-05-10"))
    # 31 January, 28 February (half paid), 31 March and 30 April, which nobody asks for any more.
    assert [date.fromordinal(due_on(book.loan(), number, RULES)).isoformat() for number in range(1, 6)] == [
        "2025-01-31",
        "2025-02-28",
        "2025-03-31",
        "2025-04-30",
        "2025-06-30",
    ]
    assert owed_on(book, "2025-06-30") == (4, 150_00)
    cut = Run(date(2025, 1, 31).toordinal(), 2, 1, skipped=1)
    assert [date.fromordinal(run_day(cut, number)).day for number in (1, 2)] == [28, 31]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_order_of_changes_payments_and_takings_back_ends_alike(data: st.DataObject) -> None:
    told = [
        pay("p1", "2025-02-12", "100.00"),
        pay("p2", "2025-03-10", "60.00"),
        reverse("r2", "p2", "2025-03-10", "2025-03-15"),
        changed("a", "2025-03-20", run("2025-04-20", 10, "110.00"), kind="due_day"),
        changed("b", "2025-04-25", run("2025-05-20", 12, "90.00"), kind="re_age"),
        changed("c", "2025-05-01", run("2025-05-05", 3, "400.00"), kind="tenure"),
        taken_back("c", "2025-05-01", "2025-05-02"),
        pay("p3", "2025-04-22", "70.00"),
        pay("p4", "2025-05-20", "30.00"),
    ]
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    straight, shuffled = Book(), Book()
    for book, events in ((straight, told), (shuffled, order)):
        book.tell(opening("L", **LOAN))
        book.tell_on("2025-05-22", *events)
        book.close("2025-05-22", "2025-05-30")
        assert book.refused == []
    # 90 on 20 May, 30 of it paid; what was open on 25 April was taken over.
    assert straight.facts()[0::2] == (10, Decimal(60))
    facts = [
        (book.facts(), book.loan().status, book.loan().status_since, book.loan().worst_dpd, book.loan().runs)
        for book in (straight, shuffled)
    ]
    assert facts[0] == facts[1]


@pytest.mark.parametrize(
    ("told", "reason", "field"),
    [
        (changed("c", "2025-05-01", run("2025-04-30", 6, "150.00")), "bad_terms", "schedule.0.first_due_date"),
        (changed("c", "2024-09-01", run("2025-05-10", 6, "150.00"), told="2025-02-11"), "too_late", "effective_date"),
        (changed("c", "2027-05-01", run("2027-05-10", 6, "150.00"), told="2025-02-11"), "bad_terms", "effective_date"),
        (
            changed("c", "2025-05-01", run("2025-05-10", 6, "100"), run("2025-06-10", 1, "100")),
            "bad_terms",
            "schedule.1.first_due_date",
        ),
        (changed("c", "2025-05-01", run("2025-05-10", 4000, "100")), "bad_terms", "schedule: all instalments"),
    ],
)
def test_terms_that_cannot_be_are_refused_with_their_field(told: AccountEvent, reason: str, field: str) -> None:
    book = Book()
    book.tell(opening("L", **LOAN), pay("p", "2025-02-11", "100.00"), told)
    assert [(code, field in detail) for code, detail in book.refused] == [(reason, True)]


def test_a_card_has_no_terms_that_could_change_or_be_taken_back() -> None:
    book = Book()
    terms = {"credit_limit": "2000.00", "annual_rate": "18"}
    book.tell(opening("L", day="2025-01-10", profile=PROFILE, terms=terms))
    book.tell(changed("c", "2025-05-01", run("2025-05-10", 6, "150.00"), told="2025-02-01"))
    book.tell(taken_back("d", "2025-05-01", "2025-02-01"))
    assert [reason for reason, _ in book.refused] == ["bad_terms", "bad_terms"]


def test_terms_for_a_closed_loan_are_refused_and_can_be_told_again() -> None:
    book = Book()
    change = changed("c", "2025-05-01", run("2025-05-10", 6, "150.00"), told="2025-03-01")
    book.tell(opening("L", **LOAN), event("loan_closed", "end", "2025-02-20", reason="settled"), change)
    assert [reason for reason, _ in book.refused] == ["loan_closed"]
    book.tell(event("loan_reopened", "again", "2025-03-02", reason="closed_by_mistake"))
    book.tell_on("2025-03-03", change)
    assert owed_on(book, "2025-06-11") == (5, 600_00)


def test_years_of_yearly_resets_stay_small() -> None:
    book = Book()
    book.tell(opening("L", **annuity("2015-01-10", "2015-02-10", "100.00", 240, "20000.00")))
    sizes = []
    for month in range(120):
        day = date(2015 + (month + 1) // 12, (month + 1) % 12 + 1, 10)
        if month % 12 == 11:
            runs = run(day.isoformat(), 240 - month, f"{100 + month}.00")
            book.tell(changed(f"c{month}", day.isoformat(), runs, kind="rate", annual_rate="4"))
        book.tell(pay(f"p{month}", day.isoformat(), str(book.loan().emi // 100)))
        sizes.append(len(book.table["B"]))
    book.close("2025-01-12", "2025-01-20")
    assert (book.refused, book.facts()) == ([], (0, 0, Decimal(0)))
    assert max(sizes) < 3500
