"""How loans end, and what may come after: charge-off, write-off, recoveries, refunds, mistakes and settlements."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.account.closing import recovered
from streams.account.rules import AccountRules
from streams.contracts.vocabulary import LoanStatus, Strategy
from streams.features import open_loans
from streams.score import ModelSet
from tests.support.book import Book, annuity, event, opening, pay, reverse

LOAN = annuity("2025-01-10", "2025-02-10", "500.00", 12, "6000.00")


def test_recoveries_after_a_write_off_are_taken_and_told_and_may_bounce() -> None:
    """Public case: 300.00 came 31 and 138 days after the write-off; the first of them bounced. 300.00 are recovered."""
    book = Book()
    book.tell(opening("L", **LOAN))
    book.close("2025-01-10", "2025-06-30")
    assert book.facts()[2] == Decimal(2500)
    book.tell(event("loan_closed", "wo", "2025-07-01", reason="written_off"), pay("r1", "2025-08-01", "300.00"))
    assert recovered(book.loan()) == 300_00
    book.tell(
        opening("M", **annuity("2025-08-02", "2025-09-02", "100.00", 6, "600.00")),
        pay("q", "2025-09-02", "600.00", "M"),
    )
    book.close("2025-09-02", "2025-11-15")
    book.tell(pay("r2", "2025-11-16", "300.00"), reverse("rr", "r1", "2025-08-01", "2025-11-17"))
    assert book.refused == []
    assert recovered(book.loan()) == 300_00
    assert (book.loan().closed, book.facts("M")) == ("written_off", (0, 0, Decimal(0)))


def test_recoveries_are_taken_for_as_long_as_the_setting_says() -> None:
    book = Book(AccountRules(recovery_days=400))
    book.tell(opening("L", **LOAN), event("loan_closed", "wo", "2025-07-01", reason="written_off"))
    for number, day in enumerate(["2025-12-01", "2026-05-01", "2026-07-30"]):
        book.tell(pay(f"r{number}", day, "10.00"))
    # The first lies before the window by now and is part of the sum.
    assert (book.refused, recovered(book.loan())) == ([], 30_00)
    book.tell(
        opening("M", **annuity("2026-09-01", "2026-10-01", "100.00", 6, "600.00")), pay("r9", "2026-09-02", "10.00")
    )
    assert [reason for reason, _ in book.refused] == ["unknown_loan"]


def test_a_charged_off_loan_is_still_owed_and_scores_by_rule() -> None:
    book = Book()
    book.tell(opening("L", **LOAN))
    book.close("2025-01-10", "2025-08-31")
    labels = len(book.labels)
    book.tell(event("loan_charged_off", "co", "2025-09-01", reason="past_due"), pay("r", "2025-09-05", "400.00"))
    book.close("2025-09-05", "2025-09-06")
    loan = book.loan()
    # Seven instalments fell due by August; 400.00 of 3,500.00 came in.
    assert (book.facts()[2], loan.closed, recovered(loan)) == (Decimal(3100), "", 400_00)
    assert loan.status is LoanStatus.DEFAULT
    (scored,) = ModelSet(None).score_loans(open_loans(book.state.account, AccountRules()))
    assert (scored.p_blend, scored.p_forest) == (1.0, 0.0)
    assert book.strategy is Strategy.RECOVERY
    assert book.actions[-1].reasons == []
    asked = {each.instalment for each in book.state.decision.pending}
    book.close("2025-09-07", "2025-12-31")
    # What was asked before is answered; nothing is asked any more.
    assert len(book.labels) - labels == len(asked)
    assert book.state.decision.pending == ()


def test_a_settlement_for_less_than_owed_ends_all_claims() -> None:
    book = Book()
    book.tell(opening("L", **LOAN))
    book.close("2025-01-10", "2025-05-31")
    book.tell(pay("part", "2025-06-01", "2000.00"), event("loan_closed", "end", "2025-06-01", reason="settled"))
    book.close("2025-06-01", "2025-06-10")
    assert (book.facts()[0::2], book.strategy) == ((0, Decimal(0)), Strategy.NONE)
    # The part payment bounces: all is owed again, from 10 February on.
    book.tell(reverse("r", "part", "2025-06-01", "2025-06-11"))
    assert (book.loan().closed, book.facts()[0], book.strategy) == ("", 121, Strategy.REMINDER)


def test_an_overpayment_is_credit_until_it_is_refunded() -> None:
    """700 paid for 500: 200 credit pay March in part; refunded on 1 March, all of March is due."""
    book = Book()
    book.tell(opening("L", **LOAN), pay("p", "2025-02-10", "700.00"))
    book.close("2025-02-10", "2025-02-20")
    assert book.stands().credit == 200_00
    refund = event("payment_refunded", "back", "2025-03-01", amount="200.00", value_date="2025-03-01")
    book.tell(refund, refund)
    book.close("2025-03-01", "2025-03-12")
    assert book.facts() == (2, 0, Decimal(500))
    book.tell(reverse("oops", "back", "2025-03-01", "2025-03-13"))
    assert book.facts()[2] == Decimal(300)


def test_a_refinanced_loan_goes_on_as_another() -> None:
    book = Book()
    book.tell(opening("L", **LOAN), opening("M", **annuity("2025-03-01", "2025-04-01", "300.00", 24, "6000.00")))
    book.tell(event("loan_closed", "end", "2025-03-01", reason="refinanced", into_loan_id="M"))
    book.close("2025-03-01", "2025-04-05")
    assert (book.loan().closed, book.facts("M")[0]) == ("refinanced", 4)


@pytest.mark.parametrize("reason", ["settled", "written_off", "refinanced"])
def test_a_loan_closed_by_mistake_is_reopened_as_if_nothing_had_been(reason: str) -> None:
    straight, mistaken = Book(), Book()
    for book in (straight, mistaken):
        book.tell(opening("L", **LOAN))
    mistaken.tell(event("loan_closed", "end", "2025-03-01", reason=reason))
    mistaken.close("2025-03-01", "2025-03-20")
    assert mistaken.strategy == "none"
    mistaken.tell(event("loan_reopened", "again", "2025-03-21", reason="closed_by_mistake"))
    for book in (straight, mistaken):
        book.close("2025-03-21", "2025-06-30")
    assert mistaken.facts() == straight.facts()
    assert mistaken.loan().worst_dpd == straight.loan().worst_dpd
    assert mistaken.loan().status is straight.loan().status is LoanStatus.DEFAULT
    assert mistaken.loan().status_since == straight.loan().status_since
    assert mistaken.strategy == "automated_reminder"


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_order_of_endings_ends_alike(data: st.DataObject) -> None:
    told = [
        event("loan_charged_off", "co", "2025-06-01", reason="past_due"),
        event("loan_closed", "e1", "2025-06-10", reason="written_off"),
        event("loan_reopened", "o1", "2025-06-12", reason="closed_by_mistake"),
        pay("r1", "2025-06-11", "100.00"),
        pay("r2", "2025-06-20", "50.00"),
        reverse("rr", "r2", "2025-06-20", "2025-06-22"),
        event("payment_refunded", "back", "2025-06-21", amount="20.00", value_date="2025-06-21"),
        event("loan_closed", "e2", "2025-06-25", reason="written_off"),
    ]
    order = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=3))))
    straight, shuffled = Book(), Book()
    for book, events in ((straight, told), (shuffled, order)):
        book.tell(opening("L", **LOAN))
        book.tell_on("2025-06-26", *events)
        book.close("2025-06-26", "2025-06-27")
        assert book.refused == []
    loans = [straight.loan(), shuffled.loan()]
    assert [(loan.closed, loan.closed_day, loan.charged_off, recovered(loan)) for loan in loans] == [
        ("written_off", date(2025, 6, 25).toordinal(), date(2025, 6, 1).toordinal(), 80_00)
    ] * 2
    assert loans[0].status is loans[1].status
    assert (loans[0].status_since, loans[0].worst_dpd) == (loans[1].status_since, loans[1].worst_dpd)
