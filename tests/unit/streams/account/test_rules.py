"""The bounds fit each other: what a rule lets in, a contract can tell."""

from decimal import Decimal

from streams.account.rules import MAX_FOLDED_MINOR, MAX_REMEMBERED, AccountRules
from streams.contracts.events import MAX_LOAN_MINOR, Terms
from streams.contracts.money import MINOR_UNITS
from tests.support.factories import day


def test_the_largest_loan_is_the_largest_amount_of_the_contract() -> None:
    largest = Decimal(MAX_LOAN_MINOR) / MINOR_UNITS
    terms = Terms(principal=largest, annual_rate=Decimal(0), tenure_months=1, emi=largest, first_due_date=day(31))
    assert terms.emi == largest


def test_what_is_summed_up_fits_into_64_bits() -> None:
    assert MAX_FOLDED_MINOR + (MAX_REMEMBERED + 1) * MAX_LOAN_MINOR < 2**63


def test_materiality_is_the_ebas() -> None:
    assert (AccountRules().materiality_minor, AccountRules().materiality_percent) == (100_00, 1)
