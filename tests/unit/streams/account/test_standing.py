"""Where a loan stands on a day."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from streams.account.payments import paid_by
from streams.account.rules import AccountRules
from streams.account.standing import (
    delinquency_bucket,
    missed_count,
    outstanding_principal,
    position,
    standing,
)
from tests.support.factories import RULES, account_of, closed, day, opened, payment, reversal


@pytest.mark.parametrize(("dpd", "bucket"), [(0, "current"), (1, "1-29"), (29, "1-29"), (30, "30-59"), (90, "90+")])
def test_buckets(dpd: int, bucket: str) -> None:
    assert delinquency_bucket(dpd) == bucket


def test_outstanding_principal_follows_the_annuity() -> None:
    balance = Decimal(100_000)
    for paid in range(13):
        assert abs(outstanding_principal(100_000, 8_885, 120_000, paid) - balance) <= 1
        balance = max(balance * Decimal("1.01") - 8_885, Decimal(0))


def test_nothing_is_left_of_a_loan_that_is_paid_off() -> None:
    assert outstanding_principal(1_200_00, 100_00, 0, 12) == 0
    assert outstanding_principal(1_200_00, 100_00, 0, 3) == 900_00


def test_payments_count_from_their_value_date_and_not_once_taken_back() -> None:
    paid = payment(31)
    (loan,) = account_of(opened(), paid, payment(40, 200), reversal(paid, 41)).loans
    assert [paid_by(loan, day(offset).toordinal()) for offset in (39, 40)] == [0, 200_00]


def test_grace_belongs_to_the_missed_count_and_not_to_days_past_due() -> None:
    (loan,) = account_of(opened()).loans
    lenient = AccountRules(grace_days=10)
    as_of = day(31 + 8).toordinal()
    assert standing(loan, as_of, RULES).days_past_due == 8
    assert [missed_count(loan, as_of, rules) for rules in (RULES, lenient)] == [1, 0]


def test_a_closed_loan_stands_at_nothing_but_what_it_missed() -> None:
    (loan,) = account_of(opened(), closed(80)).loans
    now = position(loan, day(200).toordinal(), RULES)
    assert (now.arrears, now.credit, now.days_past_due, now.outstanding, now.missed) == (0, 0, 0, 0, 2)
    assert position(replace(loan, closed=""), day(200).toordinal(), RULES).arrears == 6 * 500_00
