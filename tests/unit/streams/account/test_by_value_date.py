"""What is told of a loan follows from its ledger by value date: not from the order of telling, nor from other loans."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.account.rules import AccountRules
from streams.config.settings import Settings
from streams.contracts.events import AccountEvent
from streams.contracts.vocabulary import LoanStatus, Strategy
from tests.support.book import Book, annuity, event, opening, pay, reverse

LOAN = annuity("2025-01-10", "2025-02-10", "100.00", 12, "1200.00")
CLEAR = (0, 0, Decimal(0))


def everything(book: Book, loan: str = "L") -> tuple[object, ...]:
    kept = book.loan(loan)
    return book.facts(loan), kept.status, kept.status_since, kept.worst_dpd, kept.closed


def test_payments_made_in_time_and_told_late_leave_no_default_behind() -> None:
    """Unpaid since 10 February, so in default on 11 May; then March to May turn out to have been paid in time."""
    book = Book()
    book.tell(opening("L", **LOAN))
    book.close("2025-01-10", "2025-05-12")
    assert (book.loan().status, book.loan().worst_dpd) == (LoanStatus.DEFAULT, 91)
    for month in (2, 3, 4, 5):
        book.tell(pay(f"p{month}", f"2025-{month:02d}-10", "100.00", told="2025-05-13"))
    assert everything(book) == (CLEAR, LoanStatus.PERFORMING, date(2025, 1, 10).toordinal(), 0, "")


def test_a_default_begins_and_ends_on_the_days_of_the_money() -> None:
    """Due 10 February, 90 days later is 11 May; paid with value 20 May, told on 2 June; 90 days of probation."""
    book = Book()
    book.tell(opening("L", **LOAN))
    book.close("2025-01-10", "2025-06-01")
    book.tell(pay("p", "2025-05-20", "1200.00", told="2025-06-02"))
    loan = book.loan()
    # On 19 May the instalment of 10 February was 98 days past due.
    assert (loan.status, loan.worst_dpd) == (LoanStatus.PROBATION, 98)
    assert date.fromordinal(loan.status_since) == date(2025, 5, 20)
    book.close("2025-06-02", "2025-08-17")
    assert book.loan().status is LoanStatus.PROBATION
    book.close("2025-08-18", "2025-08-18")
    assert book.loan().status is LoanStatus.PERFORMING
    assert date.fromordinal(book.loan().status_since) == date(2025, 8, 18)


def test_ticks_made_up_after_an_outage_give_what_they_would_have_given_in_time() -> None:
    told = [pay("p1", "2025-02-14", "100.00"), pay("p2", "2025-06-20", "300.00"), pay("p3", "2025-06-21", "100.00")]
    daily, outage = Book(), Book()
    daily.tell(opening("L", **LOAN))
    day = date(2025, 1, 10)
    for each in told:
        until = each.occurred_at.date() - timedelta(days=1)
        daily.close(day.isoformat(), until.isoformat())
        daily.tell(each)
        day = until + timedelta(days=1)
    daily.close(day.isoformat(), "2025-07-01")
    outage.tell(opening("L", **LOAN), *told)
    outage.close("2025-07-01", "2025-07-01")
    assert everything(daily) == everything(outage)
    # From 10 March to 20 June: 102 days, and 91 on 9 June, when the default began.
    assert daily.loan().worst_dpd == 101


@pytest.mark.parametrize("value_day", ["2025-02-10", "2025-02-11"])
def test_the_events_of_a_running_day_make_nobody_late_before_its_close(value_day: str) -> None:
    book = Book()
    other = annuity("2025-01-10", "2025-03-01", "10.00", 12, "120.00")
    book.tell(opening("L", **LOAN), opening("M", **other))
    book.close("2025-01-10", "2025-02-10")
    book.tell(event("emi_missed", "m", "2025-02-11", instalment_number=1, due_date="2025-02-10", clock="06:00"))
    book.tell(pay("q", "2025-02-11", "10.00", "M"))
    assert book.facts() == CLEAR
    book.tell(pay("p", value_day, "100.00", told="2025-02-11"))
    book.close("2025-02-11", "2025-02-11")
    assert (book.facts(), book.loan().worst_dpd) == (CLEAR, 0)


def test_the_close_of_the_day_after_makes_late() -> None:
    book = Book()
    book.tell(opening("L", **LOAN))
    book.close("2025-01-10", "2025-02-11")
    assert book.facts() == (1, 0, Decimal(100))


def test_money_counts_from_its_value_date_not_from_its_announcement() -> None:
    """Announced on 12 February for 15 February: 4 days late on the 14th, 0 on the 15th."""
    book = Book()
    book.tell(opening("L", **LOAN))
    book.close("2025-01-10", "2025-02-11")
    book.tell(pay("p", "2025-02-15", "100.00", told="2025-02-12"))
    book.close("2025-02-12", "2025-02-14")
    assert book.facts()[0] == 4
    book.close("2025-02-15", "2025-02-15")
    assert book.facts() == (0, 1, Decimal(0))
    assert book.loan().worst_dpd == 4


def test_days_are_those_of_the_lender() -> None:
    """20:00 UTC on 9 February is 01:30 on the 10th in Kolkata; a payment of that day with its local value date."""
    rules = AccountRules(zone=ZoneInfo("Asia/Kolkata"))
    late = event(
        "payment_received", "p", "2025-02-09", amount="100", channel="upi", value_date="2025-02-13", clock="20:00"
    )
    utc, local = Book(), Book(rules)
    for book in (utc, local):
        book.tell(opening("L", **LOAN), late)
    assert [reason for reason, _ in utc.refused] == ["future_date"]
    assert local.refused == []
    assert date.fromordinal(local.loan().told_to) == date(2025, 2, 10)
    assert Settings.model_validate({"time_zone": "Asia/Kolkata"}).rules().account.zone == ZoneInfo("Asia/Kolkata")
    with pytest.raises(ValueError, match="time_zone"):
        Settings.model_validate({"time_zone": "Mars/Olympus"})


def bought() -> list[AccountEvent]:
    fields = annuity("2024-06-10", "2024-07-10", "100.00", 24, "2400.00")
    days = [date(2024 + month // 12, month % 12 + 1, 10) for month in range(6, 18)]
    return [
        opening("M", **fields),
        *(pay(f"m{number}", day.isoformat(), "100.00", "M") for number, day in enumerate(days, 1)),
    ]


def living() -> Book:
    book = Book()
    book.tell(opening("L", **annuity("2025-05-01", "2025-06-01", "100.00", 12, "1200.00")))
    book.close("2025-05-01", "2025-05-31")
    book.tell(pay("a1", "2025-06-01", "100.00"))
    book.close("2025-06-01", "2025-06-20")
    return book


@pytest.mark.parametrize("has_loan", [True, False])
@pytest.mark.parametrize("tick_after", [None, 1, 7])
def test_the_history_of_a_bought_loan_loads_beside_a_living_one(has_loan: bool, tick_after: int | None) -> None:
    """Public case: 12 of 12 paid on the day; eight of twelve were refused as too late, and it stood 345 days late."""
    book = living() if has_loan else Book()
    before = everything(book) if has_loan else None
    history = bought()
    for number, each in enumerate(history):
        book.tell_on("2025-06-21", each)
        if number == tick_after:
            book.close("2025-06-21", "2025-06-21")
    if tick_after is None:
        assert book.actions == []
    book.close("2025-06-21", "2025-06-22")
    assert book.refused == []
    assert book.stands("M").instalments_paid == 12
    assert everything(book, "M") == (CLEAR, LoanStatus.PERFORMING, date(2024, 6, 10).toordinal(), 0, "")
    assert before is None or everything(book) == before


def test_an_opening_sent_again_years_later_changes_nothing() -> None:
    book = Book()
    book.tell(opening("L", **LOAN), pay("all", "2025-01-20", "1200.00"))
    book.tell(event("loan_closed", "end", "2025-01-21", reason="settled"))
    book.tell(opening("M", **annuity("2027-01-10", "2027-02-10", "100.00", 12, "1200.00")))
    book.close("2027-01-10", "2027-01-12")
    assert [loan.loan_id for loan in book.state.account.loans] == ["M"]
    before = book.state.account
    book.tell_on("2027-01-13", opening("L", **LOAN))
    assert (book.refused, book.state.account) == ([], before)


def test_a_payment_before_the_opening_is_refused() -> None:
    book = Book()
    book.tell(opening("L", **LOAN), pay("p", "2025-01-09", "100.00", told="2025-01-11"))
    assert book.refused == [("before_opening", "value_date: before 2025-01-10, on which the loan was opened")]


def test_a_reversal_that_finds_no_payment_is_put_aside_after_its_wait_and_can_be_told_again() -> None:
    book = Book()
    lost = reverse("r", "p", "2025-02-10", "2025-02-12")
    book.tell(opening("L", **LOAN))
    book.close("2025-02-11", "2025-02-11")
    book.tell(lost)
    book.close("2025-02-12", "2025-02-16")
    assert book.refused == []
    book.close("2025-02-17", "2025-02-17")
    ((reason, detail),) = book.refused
    assert (reason, "payment_event_id" in detail) == ("unknown_payment", True)
    assert book.letters[0].record.value == lost.to_json()
    assert book.letters[0].record.offset == 2
    book.tell(pay("p", "2025-02-10", "100.00", told="2025-02-18"))
    assert book.facts() == CLEAR
    # Replayed from the dead letters: its id is not taken for a duplicate's.
    book.tell_on("2025-02-19", lost)
    book.close("2025-02-18", "2025-02-20")
    assert book.facts() == (10, 1, Decimal(100))


def test_a_reversal_that_names_another_loans_payment_surfaces_in_any_order() -> None:
    first, last = Book(), Book()
    wrong = reverse("r", "q", "2025-02-10", "2025-02-11")
    paid = pay("q", "2025-02-10", "10.00", "M")
    openings = [opening("L", **LOAN), opening("M", **annuity("2025-01-10", "2025-02-10", "10.00", 12, "120.00"))]
    first.tell(*openings, wrong, paid)
    last.tell(*openings, paid, wrong)
    for book in (first, last):
        book.close("2025-02-11", "2025-02-20")
        assert [reason for reason, _ in book.refused] == ["unknown_payment"]
        assert book.facts("M") == CLEAR
    assert everything(first) == everything(last)


def test_a_payoff_that_bounces_after_settling_opens_the_loan_again() -> None:
    """Public case: 102 days after the instalment of 10 March, which the bounced cheque had paid with all others."""
    book = Book()
    book.tell(opening("L", **LOAN))
    book.close("2025-01-10", "2025-02-09")
    book.tell(pay("p1", "2025-02-10", "100.00"))
    book.close("2025-02-10", "2025-03-09")
    book.tell(pay("payoff", "2025-03-10", "1100.00"), event("loan_closed", "end", "2025-03-10", reason="settled"))
    book.close("2025-03-10", "2025-03-14")
    assert (book.loan().closed, book.strategy) == ("settled", Strategy.NONE)
    book.tell(reverse("bounce", "payoff", "2025-03-10", "2025-03-15"))
    assert (book.loan().closed, book.strategy, book.facts()[0]) == ("", Strategy.REMINDER, 5)
    again = opening("L", **(LOAN | {"day": "2025-03-16"}))
    book.tell(again.model_copy(update={"event_id": "again", "occurred_at": datetime(2025, 3, 16, 9, tzinfo=UTC)}))
    assert [reason for reason, _ in book.refused] == ["loan_exists"]
    book.close("2025-03-15", "2025-06-20")
    # Due 10 March, April, May and June; June's grace ended on the 13th.
    assert book.facts() == (102, 4, Decimal(400))


def test_a_settled_loan_stays_settled_when_the_bounce_was_before() -> None:
    """Bounced on the 10th, paid again on the 12th and settled on the 13th, in whatever order that is told."""
    told = [
        pay("p", "2025-02-08", "1200.00"),
        reverse("r", "p", "2025-02-08", "2025-02-10"),
        pay("again", "2025-02-12", "1200.00"),
        event("loan_closed", "end", "2025-02-13", reason="settled"),
    ]
    for order in (told, told[::-1], [told[3], told[1], told[0], told[2]]):
        book = Book()
        book.tell(opening("L", **LOAN))
        book.tell_on("2025-02-14", *order)
        assert book.loan().closed == "settled"


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_order_and_any_ticks_between_tell_the_same(data: st.DataObject) -> None:
    """Payments, bounces, an end and its bounce: duplicates and ticks in between, a day's events in any order."""
    told = [
        pay("p1", "2025-02-12", "100.00"),
        pay("p2", "2025-03-10", "60.00"),
        pay("p3", "2025-03-20", "40.00"),
        reverse("r2", "p2", "2025-03-10", "2025-03-25"),
        pay("payoff", "2025-04-02", "1100.00"),
        event("loan_closed", "end", "2025-04-02", reason="settled"),
        *([reverse("rp", "payoff", "2025-04-02", "2025-04-08")] if data.draw(st.booleans()) else []),
    ]
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    ticks = data.draw(st.sets(st.integers(0, len(order))))
    straight, shuffled = Book(), Book()
    straight.tell(opening("L", **LOAN), *told)
    shuffled.tell(opening("L", **LOAN))
    for number, each in enumerate(order):
        shuffled.tell_on("2025-04-10", each)
        if number in ticks:
            # A reversal waits for its payment for five days.
            day = f"2025-04-{11 + min(number, 3)}"
            shuffled.close(day, day)
    for book in (straight, shuffled):
        book.close("2025-04-25", "2025-04-30")
    assert everything(straight) == everything(shuffled)


def test_several_payments_a_day_for_a_year_and_many_loans_one_after_another_fit() -> None:
    book = Book()
    book.tell(opening("L", **annuity("2025-01-10", "2025-02-10", "900.00", 12, "10800.00")))
    day = date(2025, 1, 11)
    for number in range(3 * 150):
        book.tell(pay(f"p{number}", (day + timedelta(days=number // 3)).isoformat(), "10.00"))
    # 150 days of 30.00 are 4,500.00: five instalments of 900.00, due from 10 February to 10 June.
    book.close("2025-06-09", "2025-06-12")
    assert (book.refused, book.facts()[0]) == ([], 0)
    assert book.stands().instalments_paid == 5
    for number in range(40):
        name, opened = f"N{number}", date(2025, 7, 1) + timedelta(days=number)
        first = (opened + timedelta(days=20)).isoformat()
        book.tell(opening(name, **annuity(opened.isoformat(), first, "10.00", 1, "10.00")))
        book.tell(event("loan_closed", f"{name}-end", opened.isoformat(), name, "12:00", reason="settled"))
    assert book.refused == []
    assert len(book.state.account.loans) < 30
