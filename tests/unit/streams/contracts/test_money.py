"""Money as minor units, exactly."""

from decimal import Decimal

import pytest

from streams.contracts.money import to_minor


@pytest.mark.parametrize(
    ("amount", "minor"), [("0.01", 1), ("0.29", 29), ("500", 500_00), ("999999999999.99", 99_999_999_999_999)]
)
def test_no_cent_is_lost(amount: str, minor: int) -> None:
    assert to_minor(Decimal(amount)) == minor
