"""What falls due, and when: runs against the same obligations written out one by one."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.account.codec import encode
from streams.account.loan import Loan, Run
from streams.account.obligations import count_of, due_before, due_on, monthly_amount, paid_up, run_day, total_of
from streams.account.rules import AccountRules
from streams.account.working_days import Convention, WorkingDays
from streams.contracts.events import AccountEvent
from tests.support.book import PROFILE, Book, annuity, event, opening, pay

RULES = AccountRules()
JANUARY = date(2024, 1, 31).toordinal()


def loan_of(*runs: Run) -> Loan:
    return Loan(
        "L", JANUARY, 100_000, 0, 0, sum(run.count for run in runs), runs[0].first_due, 1, 0, "salaried", runs=runs
    )


CONVENTIONS: list[Convention | None] = [None, "previous", "next", "same_month"]
runs = st.lists(
    st.tuples(st.integers(1, 14), st.integers(1, 90_000), st.integers(0, 3), st.integers(1, 45), st.integers(1, 60)),
    min_size=1,
    max_size=5,
)


def built(told: list[tuple[int, int, int, int, int]]) -> Loan:
    found: list[Run] = []
    first = JANUARY
    for count, amount, months, days, gap in told:
        run = Run(first, count, amount, months, 0 if months else days)
        found.append(run)
        first = run_day(run, count) + gap
    return loan_of(*found)


def written_out(loan: Loan) -> list[tuple[int, int]]:
    return [(run_day(run, number), run.amount) for run in loan.runs for number in range(1, run.count + 1)]


@settings(max_examples=200, deadline=None)
@given(runs, st.integers(-10, 2500), st.integers(0, 2_000_000), st.sampled_from(CONVENTIONS))
def test_runs_are_their_obligations_written_out(
    told: list[tuple[int, int, int, int, int]], after: int, paid: int, convention: Convention | None
) -> None:
    holidays = frozenset(JANUARY + step for step in (0, 1, 2, 60, 61, 62, 63, 400))
    calendar = None if convention is None else WorkingDays(convention, holidays=holidays)
    rules = AccountRules(working_days=calendar)
    loan, day = built(told), JANUARY + after
    rows = [(calendar.moved(due) if calendar else due, amount) for due, amount in written_out(loan)]
    assert rows == sorted(rows, key=lambda row: row[0])
    before = [amount for due, amount in rows if due < day]
    assert due_before(loan, day, rules) == (len(before), sum(before))
    assert count_of(loan) == len(rows)
    assert [due_on(loan, number, rules) for number in range(1, len(rows) + 1)] == [due for due, _ in rows]
    assert [total_of(loan, number) for number in range(len(rows) + 1)] == [
        sum(amount for _, amount in rows[:number]) for number in range(len(rows) + 1)
    ]
    up, owed = 0, 0
    for _, amount in rows:
        owed += amount
        if owed - paid > max(100, amount // 200):
            break
        up += 1
    assert paid_up(loan, paid, rules) == up


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 90_000), st.integers(0, 500), st.integers(-10, 2000), st.integers(0, 5_000_000)
)
def test_an_annuity_is_one_run_with_a_smaller_last_instalment(
    tenure: int, emi: int, less: int, after: int, paid: int
) -> None:
    less = min(less, emi - 1)
    plain = loan_of(Run(JANUARY, tenure, emi))
    last = run_day(plain.runs[0], tenure)
    parts = [Run(JANUARY, tenure - 1, emi)] if tenure > 1 else []
    same = loan_of(*parts, Run(last, 1, emi - less))
    quick = msgspec.structs.replace(plain, emi=emi, runs=(), last_less=less)
    day = JANUARY + after
    assert due_before(quick, day, RULES) == due_before(same, day, RULES)
    assert [total_of(quick, n) for n in range(tenure + 1)] == [total_of(same, n) for n in range(tenure + 1)]
    assert [due_on(quick, n, RULES) for n in range(1, tenure + 1)] == [
        due_on(same, n, RULES) for n in range(1, tenure + 1)
    ]
    # The tolerance of a last instalment that is smaller is that of the others.
    if less * 200 < emi:
        assert paid_up(quick, paid, RULES) == paid_up(same, paid, RULES)


def test_working_days_move_as_the_convention_says() -> None:
    saturday = date(2025, 5, 31).toordinal()
    holidays = frozenset({saturday + 2})
    moved = [WorkingDays(name, holidays=holidays).moved(saturday) - saturday for name in CONVENTIONS if name]
    # Monday 2 June is a holiday, so the next working day is Tuesday 3 June; Friday 30 May lies in the same month.
    assert moved == [-1, 3, -1]
    wednesday = saturday - 3
    assert WorkingDays("next", holidays=holidays).moved(wednesday) == wednesday


def test_a_calendar_without_working_days_is_refused() -> None:
    with pytest.raises(ValueError, match="no working day"):
        WorkingDays("next", weekend=frozenset(range(7)))


def scheduled(*runs: dict[str, object], principal: str = "1000.00") -> dict[str, Any]:
    return {
        "day": "2025-01-10",
        "profile": PROFILE,
        "terms": {"principal": principal, "annual_rate": "0", "schedule": list(runs)},
    }


PRODUCTS: dict[str, tuple[list[dict[str, object]], tuple[str, str, Decimal, int]]] = {
    # 51 × 20 + 1 × 10 = 1,030; after the fourth due date, 31 January + 21 days, 80 have fallen due.
    "weekly": (
        [
            {"first_due_date": "2025-01-17", "count": 51, "amount": "20", "every": 7, "unit": "days"},
            {"first_due_date": "2026-01-09", "amount": "10"},
        ],
        ("2025-02-07", "2025-02-08", Decimal(80), 22),
    ),
    # A single instalment seven days after the opening.
    "bullet": (
        [{"first_due_date": "2025-01-17", "amount": "1050"}],
        ("2025-01-17", "2025-01-20", Decimal(1050), 3),
    ),
    # Step-up from 100 to 200 after three months; on 20 May 3 × 100 + 200 have fallen due.
    "step-up": (
        [
            {"first_due_date": "2025-02-10", "count": 3, "amount": "100"},
            {"first_due_date": "2025-05-10", "count": 4, "amount": "200"},
        ],
        ("2025-05-10", "2025-05-20", Decimal(500), 99),
    ),
    # Holiday in March and April, then a balloon; on 1 June 100 + 100 have fallen due.
    "holiday and balloon": (
        [
            {"first_due_date": "2025-02-10", "amount": "100"},
            {"first_due_date": "2025-05-10", "count": 2, "amount": "100"},
            {"first_due_date": "2025-06-11", "amount": "800"},
        ],
        ("2025-05-10", "2025-06-01", Decimal(200), 111),
    ),
    # Every 30 days: 10 February, 12 March, 11 April.
    "30 days": (
        [{"first_due_date": "2025-02-10", "count": 10, "amount": "110", "every": 30, "unit": "days"}],
        ("2025-04-11", "2025-04-12", Decimal(330), 61),
    ),
    # Every third month: 10 February, 10 May.
    "quarterly": (
        [{"first_due_date": "2025-02-10", "count": 8, "amount": "150", "every": 3}],
        ("2025-05-10", "2025-05-11", Decimal(300), 90),
    ),
}


@pytest.mark.parametrize("product", PRODUCTS)
def test_products_fall_due_as_their_schedules_say(product: str) -> None:
    schedule, (last_due, until, owed, dpd) = PRODUCTS[product]
    book = Book()
    book.tell(opening("L", **scheduled(*schedule)))
    book.close("2025-01-10", until)
    assert book.refused == []
    assert book.facts()[0::2] == (dpd, owed)
    # The sum of what fell due clears it, whatever the product.
    book.tell(pay("p", until, str(owed)))
    assert book.facts()[0::2] == (0, Decimal(0))
    assert book.stands().instalments_due == book.stands().instalments_paid
    assert date.fromisoformat(last_due) < date.fromisoformat(until)


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ([{"first_due_date": "2025-02-10", "count": 3, "amount": "100"}], "terms.schedule: all instalments together"),
        (
            [
                {"first_due_date": "2025-02-10", "count": 12, "amount": "100"},
                {"first_due_date": "2026-01-10", "amount": "100"},
            ],
            "terms.schedule.1.first_due_date: not after",
        ),
        ([{"first_due_date": "2025-01-09", "amount": "1000"}], "terms.schedule.0.first_due_date: not within"),
        (
            [{"first_due_date": "2025-02-10", "count": 4000, "amount": "1", "every": 366}],
            "terms.schedule.0.count: the run ends after",
        ),
        (
            [{"first_due_date": "2025-02-10", "count": 4000, "amount": "1", "every": 366, "unit": "days"}],
            "terms.schedule.0.count: the run ends after",
        ),
        ([{"first_due_date": "2025-02-10", "count": 4000, "amount": "100000"}], "100 times the principal"),
    ],
)
def test_a_schedule_that_does_not_add_up_is_refused_with_its_field(
    schedule: list[dict[str, object]], told: str
) -> None:
    book = Book()
    book.tell(opening("L", **scheduled(*schedule)))
    ((reason, detail),) = book.refused
    assert (reason, told in detail) == ("bad_terms", True)


def test_the_instalment_of_a_weekly_loan_burdens_a_month() -> None:
    # 20 a week: 20 × 30.4375 / 7 = 86.96 a month.
    assert monthly_amount(Run(JANUARY, 52, 2000, 0, 7)) == 8696
    assert monthly_amount(Run(JANUARY, 8, 15_000, 3)) == 5000


def card(day: str = "2025-01-10") -> dict[str, Any]:
    return {"day": day, "profile": PROFILE, "terms": {"credit_limit": "2000.00", "annual_rate": "18"}}


def bill(number: int, day: str, due: str, amount: str, **fields: Any) -> AccountEvent:
    return event("instalment_billed", f"bill-{number}", day, number=number, due_date=due, amount=amount, **fields)


def test_a_card_owes_its_bills() -> None:
    book = Book()
    book.tell(opening("L", **card()))
    book.close("2025-01-10", "2025-01-31")
    assert book.facts() == (0, 0, Decimal(0))
    book.tell(bill(1, "2025-02-01", "2025-02-20", "50.00", statement_balance="900.00", credit_limit="2500.00"))
    book.close("2025-02-01", "2025-03-01")
    # 20 February to 1 March: 9 days; grace ended on 23 February.
    assert book.facts() == (9, 1, Decimal(50))
    assert book.stands().outstanding == 900_00
    assert book.loan().principal == 2500_00


def test_what_a_card_pays_beyond_its_bill_pays_no_later_bill() -> None:
    book = Book()
    first = bill(1, "2025-02-01", "2025-02-20", "50.00")
    second = bill(2, "2025-03-01", "2025-03-20", "40.00")
    book.tell(opening("L", **card()), first, pay("p1", "2025-02-18", "500.00"), second)
    book.close("2025-02-18", "2025-03-25")
    # 500 - 50 = 450 made the balance smaller before the second statement; its 40 are due all the same.
    assert book.facts() == (5, 1, Decimal(40))
    # Told late, but paid after the statement and in time: it pays the bill.
    book.tell(pay("p2", "2025-03-19", "40.00", told="2025-03-26"))
    assert book.facts() == (0, 0, Decimal(0))


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(7)))
def test_bills_and_payments_in_any_order_end_alike(order: list[int]) -> None:
    told = [
        bill(1, "2025-02-01", "2025-02-20", "50.00"),
        bill(2, "2025-03-01", "2025-03-20", "40.00"),
        bill(3, "2025-04-01", "2025-04-20", "45.00"),
        pay("p1", "2025-02-18", "500.00"),
        pay("p2", "2025-03-19", "30.00"),
        pay("p3", "2025-04-02", "20.00"),
        pay("p4", "2025-02-20", "10.00"),
    ]
    book = Book()
    book.tell(opening("L", **card()))
    book.tell_on("2025-04-25", *(told[at] for at in order))
    book.close("2025-04-25", "2025-04-30")
    # Bill 2 got 30 of 40 and the rest from p3; of bill 3 then 10 of 45 are paid: 35 owed since 20 April.
    assert book.refused == []
    assert book.facts() == (10, 2, Decimal(35))


@pytest.mark.parametrize(
    ("told", "reason", "field"),
    [
        (bill(1, "2025-02-02", "2025-02-25", "60.00").model_copy(update={"event_id": "x"}), "bad_bill", "number"),
        (bill(2, "2025-02-02", "2025-02-01", "60.00"), "bad_bill", "statement_date"),
        (bill(2, "2025-02-02", "2027-02-01", "60.00"), "bad_bill", "due_date"),
        (
            event("instalment_billed", "b", "2025-02-02", "L9", number=1, due_date="2025-02-20", amount="1"),
            "unknown_loan",
            "L9",
        ),
        (
            event("emi_missed", "m", "2025-02-25", instalment_number=7, due_date="2025-02-20"),
            "unknown_instalment",
            "bill",
        ),
        (
            event("emi_missed", "m", "2025-02-25", instalment_number=1, due_date="2025-02-21"),
            "unknown_instalment",
            "due_date",
        ),
    ],
)
def test_bills_that_cannot_be_are_refused(told: AccountEvent, reason: str, field: str) -> None:
    book = Book()
    book.tell(opening("L", **card()), bill(1, "2025-02-01", "2025-02-20", "50.00"), told)
    assert [(code, field in detail) for code, detail in book.refused] == [(reason, True)]


def test_an_annuity_is_not_billed() -> None:
    book = Book()
    book.tell(opening("L", **annuity("2025-01-10", "2025-02-10", "100", 12, "1200")))
    book.tell(bill(1, "2025-02-01", "2025-02-20", "50.00"))
    assert [reason for reason, _ in book.refused] == ["bad_bill"]


def test_ten_years_of_a_card_stay_small() -> None:
    book = Book()
    book.tell(opening("L", **card("2015-01-05")))
    sizes = []
    for month in range(120):
        first = date(2015 + (month + 1) // 12, (month + 1) % 12 + 1, 1)
        due = first + timedelta(days=19)
        book.tell(bill(month + 1, first.isoformat(), due.isoformat(), "50.00"))
        book.tell(pay(f"p{month}", due.isoformat(), "70.00"))
        sizes.append(len(encode(book.state)))
    assert book.facts() == (0, 0, Decimal(0))
    assert max(sizes[60:]) <= max(sizes[6:24]) + 64
    assert max(sizes) < 1200


@pytest.mark.parametrize(
    ("run", "count", "step", "most"),
    [
        ({"first_due_date": "2000-02-10", "count": 360, "amount": "600"}, 360, 30, 1800),
        ({"first_due_date": "2000-01-17", "count": 261, "amount": "20", "every": 7, "unit": "days"}, 260, 7, 2800),
    ],
    ids=["360 months", "five years of weeks"],
)
def test_long_loans_stay_small(run: dict[str, object], count: int, step: int, most: int) -> None:
    book = Book()
    book.tell(opening("L", **(scheduled(run, principal="5000") | {"day": "2000-01-10"})))
    first, sizes = date.fromisoformat(str(run["first_due_date"])), []
    for number in range(count):
        day = first + timedelta(days=step * number)
        book.tell(pay(f"p{number}", day.isoformat(), str(run["amount"])))
        sizes.append(len(encode(book.state)))
    assert max(sizes) < most
    assert sizes[-1] <= max(sizes[: count // 4]) + 64
