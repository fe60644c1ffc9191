"""The rows that models see."""

import math

from streams.account.standing import position
from streams.contracts.feature_names import FEATURE_NAMES, ROW_NAMES
from streams.evolve import close_day
from streams.features import loan_row, next_instalment, open_loans
from tests.support.factories import RULES, account_of, closed, day, opened, payment


def row_on(offset: int, *events: object) -> dict[str, float]:
    account = close_day(account_of(*events), day(offset).toordinal(), RULES)
    loan = account.loans[0]
    return dict(zip(ROW_NAMES, loan_row(loan, position(loan, account.as_of, RULES), RULES), strict=True))


def test_a_row_tells_the_loan_on_its_day() -> None:
    row = row_on(40, opened())
    assert (row["days_past_due"], row["missed_count"], row["arrears_to_emi"]) == (9, 1, 1)
    assert (row["days_since_payment"], row["paid_to_due_90_days"], row["months_remaining"]) == (40, 0, 11)
    assert (row["monthly_income"], row["loan_amount"], row["monthly_emi"]) == (3000, 5500, 500)
    assert row["days_to_next_due"] == 59 - 40


def test_a_loan_on_which_nothing_fell_due_reads_as_paid_in_full() -> None:
    assert row_on(10, opened())["paid_to_due_90_days"] == 1


def test_no_number_is_without_bound() -> None:
    row = row_on(900, opened(), payment(5, "999999999.99"))
    assert all(math.isfinite(row[name]) and abs(row[name]) <= 1e6 for name in FEATURE_NAMES)


def test_only_open_loans_are_scored() -> None:
    account = account_of(opened(), opened("L2"), closed(20))
    assert [each.loan.loan_id for each in open_loans(account, RULES)] == ["L2"]


def test_after_the_last_instalment_there_is_no_next_one() -> None:
    (loan,) = account_of(opened(tenure=2)).loans
    assert [next_instalment(loan, day(offset).toordinal(), RULES) for offset in (30, 31, 58, 59)] == [1, 2, 2, None]
