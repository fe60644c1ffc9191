"""Holds: what they pause, from which day to which, whatever the order of telling."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.account.decision_state import DecisionState
from streams.account.holds import OPEN_END, day_when, days_late
from streams.account.loan import Account
from streams.account.rules import AccountRules
from streams.contracts.events import AccountEvent
from streams.contracts.vocabulary import LoanStatus, Strategy
from streams.evolve import apply, close_day, next_wake
from streams.features import open_loans
from streams.score import LoanScore, ModelVersions
from streams.strategy import StrategyRules, judge
from tests.support.book import Book, annuity, event, opening, pay

LOAN = annuity("2025-01-10", "2025-02-10", "100.00", 12, "1200.00")
RULES = AccountRules()


def hold(
    name: str, first: str, last: str | None, told: str, effect: str = "dpd", loan: str | None = None
) -> AccountEvent:
    fields: dict[str, Any] = {
        "hold_id": name,
        "effect": effect,
        "reason": "moratorium",
        "from_date": first,
        "until_date": last,
    }
    return event("hold_placed", f"hold-{name}", told, loan, **fields)


def lifted(name: str, day: str, told: str, loan: str | None = None) -> AccountEvent:
    return event("hold_lifted", f"lift-{name}", told, loan, hold_id=name, lifted_on=day)


def test_held_days_do_not_count_and_both_ends_are_held() -> None:
    """Due 10 February; 15 to 24 February are ten days: on 2 March 20 days less 10."""
    book = Book()
    book.tell(opening("L", **LOAN), hold("a", "2025-02-15", "2025-02-24", "2025-02-01"))
    late = {}
    for day in range(10, 29):
        book.close(f"2025-02-{day}", f"2025-02-{day}")
        late[day] = book.facts()[0]
    assert [late[day] for day in (10, 11, 14, 15, 20, 24, 25, 28)] == [0, 1, 4, 4, 4, 4, 5, 8]
    book.close("2025-03-01", "2025-03-02")
    assert book.facts() == (10, 1, Decimal(100))
    assert book.loan().worst_dpd == 10


def test_an_instalment_is_not_missed_while_its_grace_stands_still() -> None:
    """Due 10 February, grace to the 13th; held 12 to 21 February: grace ends on the 23rd."""
    book = Book()
    book.tell(opening("L", **LOAN), hold("a", "2025-02-12", "2025-02-21", "2025-02-01"))
    book.close("2025-02-10", "2025-02-23")
    assert book.facts()[1] == 0
    book.close("2025-02-24", "2025-02-24")
    assert book.facts()[:2] == (4, 1)
    book.tell(pay("p", "2025-02-23", "100.00", told="2025-02-25"))
    assert book.facts()[:2] == (0, 0)


def test_a_default_waits_for_the_held_days() -> None:
    """90 days after 10 February is 11 May; 60 days of breathing space put it off to 10 July."""
    book = Book()
    book.tell(opening("L", **LOAN), hold("a", "2025-03-01", "2025-04-29", "2025-02-20"))
    book.close("2025-02-20", "2025-07-09")
    assert book.loan().status is LoanStatus.PERFORMING
    book.close("2025-07-10", "2025-07-10")
    assert (book.loan().status, book.facts()[0]) == (LoanStatus.DEFAULT, 90)


def test_a_backdated_hold_takes_back_what_it_covers() -> None:
    book = Book()
    book.tell(opening("L", **LOAN))
    book.close("2025-01-10", "2025-05-12")
    assert book.loan().status is LoanStatus.DEFAULT
    book.tell(hold("a", "2025-02-11", "2025-05-01", "2025-05-13"))
    loan = book.loan()
    # The close of 12 May is 91 days after 10 February; 80 of them are held.
    assert (book.facts()[0], loan.status, loan.worst_dpd) == (11, LoanStatus.PERFORMING, 11)


def test_a_hold_of_one_loan_leaves_the_other_alone() -> None:
    book = Book()
    book.tell(opening("L", **LOAN), opening("M", **LOAN), hold("a", "2025-02-11", None, "2025-02-01", loan="M"))
    book.tell(opening("N", **annuity("2025-02-02", "2025-02-10", "100.00", 12, "1200.00")))
    book.close("2025-02-10", "2025-02-20")
    assert [book.facts(name)[0] for name in "LMN"] == [10, 0, 10]


def test_a_hold_of_the_borrower_holds_later_loans_too() -> None:
    book = Book()
    book.tell(opening("L", **LOAN), hold("a", "2025-02-11", None, "2025-02-01"))
    book.tell(opening("N", **annuity("2025-02-02", "2025-02-10", "100.00", 12, "1200.00")))
    book.close("2025-02-10", "2025-02-20")
    assert [book.facts(name)[0] for name in "LN"] == [0, 0]


@pytest.mark.parametrize(
    ("told", "reason", "field"),
    [
        (hold("b", "2025-02-20", "2025-02-19", "2025-02-02"), "bad_hold", "until_date"),
        (hold("b", "2025-02-20", "2025-03-01", "2025-02-02"), "bad_hold", "from_date: overlaps"),
        (
            hold("a", "2025-04-20", "2025-05-01", "2025-02-02").model_copy(update={"event_id": "x"}),
            "bad_hold",
            "hold_id",
        ),
        (hold("b", "2024-09-01", "2025-02-01", "2025-02-02"), "too_late", "from_date"),
        (lifted("a", "2024-09-01", "2025-02-02"), "too_late", "lifted_on"),
        (hold("b", "2025-03-20", "2025-04-01", "2025-02-02", loan="Z"), "unknown_loan", "Z"),
    ],
)
def test_holds_that_cannot_be_are_refused(told: AccountEvent, reason: str, field: str) -> None:
    book = Book()
    book.tell(opening("L", **LOAN), hold("a", "2025-02-15", "2025-02-24", "2025-02-01"), told)
    assert [(code, field in detail) for code, detail in book.refused] == [(reason, True)]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_order_of_holds_and_payments_ends_alike(data: st.DataObject) -> None:
    told = [
        hold("a", "2025-02-05", "2025-02-14", "2025-02-04"),
        hold("b", "2025-02-20", None, "2025-02-19"),
        lifted("b", "2025-03-05", "2025-03-05"),
        hold("c", "2025-03-20", "2025-04-10", "2025-03-19", loan="L"),
        lifted("c", "2025-03-20", "2025-03-19", loan="L"),
        hold("d", "2025-03-01", "2025-03-20", "2025-03-01", effect="contact"),
        pay("p1", "2025-02-27", "100.00"),
        pay("p2", "2025-03-12", "50.00"),
    ]
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    straight, shuffled = Book(), Book()
    for book, events in ((straight, told), (shuffled, order)):
        book.tell(opening("L", **LOAN))
        book.tell_on("2025-03-25", *events)
        book.close("2025-04-01", "2025-04-03")
        assert book.refused == []
    same = [
        (book.facts(), book.loan().status, book.loan().worst_dpd, book.loan().held, book.state.account.holds)
        for book in (straight, shuffled)
    ]
    assert same[0] == same[1]
    # On 3 April March's instalment is 24 days old; b held none of them after 5 March, c was lifted on its first day.
    assert same[0][0][0] == 24


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 40)), max_size=4), st.integers(20, 200))
def test_days_past_due_are_the_days_that_no_hold_covers(spans: list[tuple[int, int]], until: int) -> None:
    account: Account = apply(opening("L", **LOAN), None, RULES)
    start, last = date(2025, 2, 1).toordinal(), date(2025, 2, 1).toordinal() + until
    held: set[int] = set()
    for number, (first, length) in enumerate(sorted(spans)):
        days = set(range(start + first, start + first + length + 1))
        if days & held:
            continue
        held |= days
        ends = date.fromordinal(start + first).isoformat(), date.fromordinal(start + first + length).isoformat()
        account = apply(hold(str(number), *ends, "2025-02-01"), account, RULES)
    woken = account
    while 0 < (wake := next_wake(woken, RULES, 30)) <= last:
        woken = close_day(woken, wake, RULES)
    woken = close_day(woken, last, RULES)
    due = date(2025, 2, 10).toordinal()
    loan = woken.loans[0]
    expected = len([day for day in range(due + 1, last + 1) if day not in held])
    assert open_loans(woken, RULES)[0].now.days_past_due == expected
    assert loan.worst_dpd == expected
    assert (loan.status is LoanStatus.DEFAULT) == (expected >= 90)


def scored(account: Account, chance: float) -> list[LoanScore]:
    return [
        LoanScore(each.loan, each.now, each.row, chance, chance, chance, (), (), None)
        for each in open_loans(account, RULES)
    ]


def decide(
    account: Account, decision: DecisionState, chance: float
) -> tuple[DecisionState, tuple[Strategy, Strategy] | None]:
    judged = judge(decision, account, scored(account, chance), ModelVersions("f", 0), StrategyRules(), RULES)
    return judged.decision, (judged.previous, judged.decision.strategy) if judged.is_change else None


def closed_at(account: Account, day: str) -> Account:
    return close_day(account, date.fromisoformat(day).toordinal(), RULES)


def test_a_contact_hold_withholds_actions_and_tells_the_newest_once_when_it_ends() -> None:
    account = apply(opening("L", **LOAN), None, RULES)
    account = apply(hold("a", "2025-02-15", "2025-02-24", "2025-02-01", effect="contact"), account, RULES)
    decision = DecisionState()
    told = []
    for day, chance in [(13, 0.2), (14, 0.6), (15, 0.8), (20, 0.6), (23, 0.9), (24, 0.9), (25, 0.9)]:
        account = closed_at(account, f"2025-02-{day}")
        decision, change = decide(account, decision, chance)
        told.append(change)
    # After the close of the 14th the next day is held; after that of the 24th it is not.
    assert told == [None, None, None, None, None, (Strategy.REMINDER, Strategy.RECOVERY), None]
    assert decision.withheld_from is None


def test_nothing_is_told_at_the_end_of_a_hold_if_all_is_as_it_was() -> None:
    account = apply(opening("L", **LOAN), None, RULES)
    account = apply(hold("a", "2025-02-12", "2025-02-24", "2025-02-01", effect="contact"), account, RULES)
    decision, told = DecisionState(), []
    for day, chance in [(13, 0.6), (20, 0.2), (24, 0.2)]:
        account = closed_at(account, f"2025-02-{day}")
        decision, change = decide(account, decision, chance)
        told.append(change)
    assert told == [None, None, None]


def test_the_end_of_a_loan_is_told_even_while_contact_is_held() -> None:
    account = apply(opening("L", **LOAN), None, RULES)
    account = apply(hold("a", "2025-02-12", None, "2025-02-01", effect="contact"), account, RULES)
    account = apply(event("loan_closed", "end", "2025-02-15", reason="settled"), account, RULES)
    assert decide(account, DecisionState(), 0.9)[1] == (Strategy.REMINDER, Strategy.NONE)


def test_a_strategy_hold_keeps_the_strategy_until_it_ends() -> None:
    account = apply(opening("L", **LOAN), None, RULES)
    account = apply(hold("a", "2025-02-12", "2025-02-20", "2025-02-01", effect="strategy"), account, RULES)
    decision, told = DecisionState(), []
    for day in (12, 19, 20):
        account = closed_at(account, f"2025-02-{day}")
        decision, change = decide(account, decision, 0.9)
        told.append(change)
    assert told == [None, None, (Strategy.REMINDER, Strategy.RECOVERY)]


def test_an_account_wakes_when_a_hold_ends() -> None:
    account = apply(opening("L", **LOAN), None, RULES)
    account = apply(pay("all", "2025-01-20", "1200.00"), account, RULES)
    quiet = next_wake(account, RULES, 30)
    held = apply(hold("a", "2025-01-25", "2025-02-20", "2025-01-20", effect="contact"), account, RULES)
    assert quiet > date(2025, 2, 20).toordinal()
    assert date.fromordinal(next_wake(held, RULES, 30)) == date(2025, 1, 24)
    held = closed_at(held, "2025-01-24")
    assert date.fromordinal(next_wake(held, RULES, 30)) == date(2025, 2, 20)
    assert next_wake(closed_at(held, "2025-02-20"), RULES, 30) == quiet


def test_labels_across_held_days_are_left_out() -> None:
    held, plain = Book(), Book()
    for book in (held, plain):
        book.tell(opening("L", **LOAN))
    held.tell(hold("a", "2025-02-15", "2025-02-20", "2025-02-01"))
    for book in (held, plain):
        book.close("2025-02-01", "2025-03-15")
    assert [(label.instalment_number, label.outcome) for label in plain.labels] == [(1, True)]
    assert held.labels == []


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 40)), max_size=5), st.integers(0, 60), st.integers(1, 120))
def test_the_day_of_a_lateness_is_the_first_on_which_it_is_reached(
    gaps: list[tuple[int, int]], due: int, late: int
) -> None:
    spans, at = [], 0
    for gap, length in gaps:
        first = at + gap + 1
        spans.append((first, first + length))
        at = first + length
    loan = replace(apply(opening("L", **LOAN), None, RULES).loans[0], held=tuple(spans))
    day = day_when(loan, due, late)
    assert days_late(loan, due, day) == late
    assert days_late(loan, due, day - 1) == late - 1


def test_a_hold_without_an_end_is_no_long_way() -> None:
    loan = replace(apply(opening("L", **LOAN), None, RULES).loans[0], held=((due := 739000, OPEN_END),))
    assert day_when(loan, due - 1, 90) == OPEN_END + 90


def test_holds_are_forgotten_in_time() -> None:
    book = Book()
    book.tell(opening("L", **annuity("2020-01-10", "2020-02-10", "100.00", 60, "6000.00")))
    for month in range(60):
        first = date(2020 + (month + 1) // 12, (month + 1) % 12 + 1, 5)
        book.tell(hold(f"h{month}", first.isoformat(), first.replace(day=8).isoformat(), first.isoformat()))
        book.tell(pay(f"p{month}", first.replace(day=10).isoformat(), "100.00"))
    assert book.refused == []
    assert len(book.state.account.holds) <= 6
