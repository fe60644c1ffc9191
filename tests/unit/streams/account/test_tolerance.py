"""One rule of tolerance: days past due, missed count, status and labels ask it, and a cent makes nobody late."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from streams.account.rules import AccountRules
from streams.account.tolerance import tolerance
from streams.contracts.due_dates import due_day
from tests.support.book import Book, annuity, opening, pay

# 0.5 % of 100.00 is 0.50, so the fixed 1.00 is the larger.
LOAN = annuity("2025-01-10", "2025-02-10", "100.00", 12, "1200.00")


def dues(first: str, count: int) -> list[str]:
    start = date.fromisoformat(first).toordinal()
    return [date.fromordinal(due_day(start, number)).isoformat() for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("amount", "scale", "open_for"),
    [(48_867, 100, 244), (10_000, 100, 100), (20_000, 100, 100), (5_000, 1, 25), (100, 1, 1), (400_000, 1000, 2000)],
)
def test_the_larger_of_one_unit_and_half_a_percent(amount: int, scale: int, open_for: int) -> None:
    assert tolerance(amount, AccountRules(), scale) == open_for


@pytest.mark.parametrize(("paid", "facts"), [("99.01", (0, 0)), ("99.00", (0, 0)), ("98.99", (9, 1))])
def test_one_unit_short_is_paid_and_a_cent_more_is_not(paid: str, facts: tuple[int, int]) -> None:
    book = Book()
    book.tell(opening("L", **LOAN), pay("p", "2025-02-10", paid))
    book.close("2025-02-10", "2025-02-19")
    assert book.facts()[:2] == facts


def test_small_shortfalls_add_up() -> None:
    """0.60 short each month: 0.60 in February is within 1.00, 1.20 in March is not."""
    book = Book()
    book.tell(opening("L", **LOAN), pay("p1", "2025-02-10", "99.40"))
    book.close("2025-02-10", "2025-03-09")
    assert book.facts() == (0, 0, Decimal("0.60"))
    book.tell(pay("p2", "2025-03-10", "99.40"))
    book.close("2025-03-10", "2025-03-15")
    assert book.facts() == (5, 1, Decimal("1.20"))


def test_many_small_payments_pay_an_instalment() -> None:
    book = Book()
    book.tell(opening("L", **LOAN))
    for number in range(100):
        book.tell(pay(f"p{number}", "2025-02-09", "0.99"))
    book.close("2025-02-09", "2025-02-20")
    assert book.facts() == (0, 0, Decimal("1.00"))


def test_a_tolerance_of_nothing_makes_a_cent_late() -> None:
    book = Book(AccountRules(tolerance_minor=0, tolerance_share_e4=0))
    book.tell(opening("L", **LOAN), pay("p", "2025-02-10", "99.99"))
    book.close("2025-02-10", "2025-02-19")
    assert book.facts() == (9, 1, Decimal("0.01"))


def test_a_cent_short_once_is_a_remark_for_the_whole_loan() -> None:
    """Public case: 488.66 of 488.67 once, then exact and punctual; it was told as 148 days late."""
    book = Book()
    book.tell(opening("L", **annuity("2025-01-10", "2025-02-10", "488.67", 12, "5500.00", "12")))
    before = date(2025, 1, 10)
    for number, due in enumerate(dues("2025-02-10", 12)):
        book.close(before.isoformat(), (date.fromisoformat(due) - timedelta(days=1)).isoformat())
        assert book.facts()[:2] == (0, 0)
        book.tell(pay(f"p{number}", due, "488.66" if number == 0 else "488.67"))
        before = date.fromisoformat(due)
    book.close(before.isoformat(), "2026-02-28")
    assert book.facts()[:2] == (0, 0)
    assert book.facts()[2] <= Decimal("0.02")
    assert book.loan().worst_dpd == 0
    assert book.strategy == "automated_reminder"
    assert not any(outcome for outcome in outcomes(book))


def test_a_last_instalment_that_is_smaller_by_rounding_leaves_nothing_owed() -> None:
    """Public case: 10,000 at 12 % over 24 months, 23 × 475.00 and 359.95, all on the day.

    q = 1.01; 10,000 × 1.01^23 = 12,571.63; 475 × (1.01^23 − 1) / 0.01 = 12,215.24; the difference, 356.39, with its
    month of interest is 359.95.
    """
    book = Book()
    book.tell(opening("L", **annuity("2024-01-08", "2024-02-08", "475.00", 24, "10000.00", "12")))
    assert book.loan().emi - book.loan().last_less == 359_95
    for number, due in enumerate(dues("2024-02-08", 24), 1):
        book.tell(pay(f"p{number}", due, "359.95" if number == 24 else "475.00"))
        book.close(due, due)
    book.close("2026-01-09", "2026-04-30")
    assert book.facts() == (0, 0, Decimal(0))
    assert book.loan().worst_dpd == 0
    assert not any(outcome for outcome in outcomes(book))


@pytest.mark.parametrize(("last", "late"), [("359.58", False), ("358.94", False), ("357.50", True)])
def test_a_last_instalment_may_be_short_by_the_tolerance(last: str, late: bool) -> None:
    """0.5 % of 475.00 is 2.37: 0.37 and 1.01 short are nothing, 2.45 short is late."""
    book = Book()
    book.tell(opening("L", **annuity("2024-01-08", "2024-02-08", "475.00", 24, "10000.00", "12")))
    for number, due in enumerate(dues("2024-02-08", 24), 1):
        book.tell(pay(f"p{number}", due, last if number == 24 else "475.00"))
        book.close(due, due)
    book.close("2026-01-09", "2026-01-18")
    assert book.facts()[:2] == ((10, 1) if late else (0, 0))


def outcomes(book: Book) -> list[bool]:
    """What the labels said."""
    assert book.labels
    return [label.outcome for label in book.labels]
