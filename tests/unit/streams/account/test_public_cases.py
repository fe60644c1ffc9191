"""Cases from public reports that held before, and have to go on doing so."""

from datetime import date, timedelta
from decimal import Decimal

from tests.support.book import Book, annuity, event, opening, pay, reverse


def test_month_ends_and_the_leap_day() -> None:
    """First due on 31 January 2024: 29 February 2024, the 31st or 30th, and 28 February 2025 as the fourteenth."""
    book = Book()
    book.tell(opening("L", **annuity("2024-01-02", "2024-01-31", "100.00", 14, "1400.00")))
    book.tell(pay("p1", "2024-01-31", "100.00"))
    book.close("2024-01-31", "2024-02-29")
    assert book.facts() == (0, 0, Decimal(0))
    book.tell(event("emi_missed", "wrong", "2024-03-05", instalment_number=2, due_date="2024-03-02"))
    book.close("2024-03-01", "2024-03-01")
    assert book.facts()[:2] == (1, 0)
    book.close("2024-03-02", "2024-03-03")
    assert book.facts()[:2] == (3, 0)
    # The last day of grace is 3 March.
    book.tell(pay("p2", "2024-03-03", "100.00"))
    book.tell(event("emi_missed", "m2", "2024-03-04", instalment_number=2, due_date="2024-02-29"))
    assert book.facts() == (0, 0, Decimal(0))
    for number, day in enumerate(month_ends(date(2024, 3, 31), 11), start=3):
        book.tell(pay(f"p{number}", day, "100.00"))
    book.close("2025-01-31", "2025-02-28")
    assert book.facts() == (0, 0, Decimal(0))
    book.close("2025-03-01", "2025-03-04")
    assert book.facts() == (4, 1, Decimal(100))
    told = event("emi_missed", "m15", "2025-03-05", instalment_number=15, due_date="2025-03-31")
    book.tell(told, told.model_copy(update={"event_id": "m999", "instalment_number": 999}))
    # The contract itself knows no more than 480 instalments.
    assert [reason for reason, _ in book.refused] == ["unknown_instalment", "unknown_instalment", "invalid_event"]


def month_ends(first: date, count: int) -> list[str]:
    found, day = [], first
    for _ in range(count):
        found.append(day.isoformat())
        after = day + timedelta(days=1)
        day = (after.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return found


def test_reversals_in_any_order() -> None:
    book = Book()
    book.tell(opening("L", **annuity("2025-01-10", "2025-02-10", "100.00", 12, "1200.00")))
    book.close("2025-01-10", "2025-02-12")
    back = reverse("r1", "p1", "2025-02-10", "2025-02-13")
    book.tell(back, pay("p1", "2025-02-10", "100.00", told="2025-02-13"))
    assert book.facts()[0::2] == (3, Decimal(100))
    book.tell(back, reverse("r1-again", "p1", "2025-02-10", "2025-02-13"))
    assert book.facts()[0::2] == (3, Decimal(100))
    # Presented again and paid; the same id with another amount changes nothing.
    book.tell(pay("p1b", "2025-02-14", "100.00"), pay("p1b", "2025-02-14", "999.00"))
    assert (book.facts()[0::2], book.stands().credit) == ((0, Decimal(0)), 0)
    book.close("2025-02-14", "2025-03-09")
    book.tell(pay("p2", "2025-03-10", "450.00"))
    book.close("2025-03-10", "2025-04-20")
    assert (book.facts()[0::2], book.stands().credit) == ((0, Decimal(0)), 250_00)
    # March and April are owed again: 42 days from 10 March to 21 April.
    book.tell(reverse("r2", "p2", "2025-03-10", "2025-04-21"))
    assert book.facts()[0::2] == (42, Decimal(200))
    book.tell(pay("p2b", "2025-04-21", "200.00"))
    assert book.facts()[0::2] == (0, Decimal(0))
    assert book.refused == []
