"""The annuity formula."""

from decimal import Decimal

import pytest

from producers.simulator.emi import annuity_emi


@pytest.mark.parametrize(
    ("principal", "rate", "tenure", "emi"),
    [(100_000, 12, 12, "8884.88"), (12_000, 0, 12, "1000.00"), (500_000, 9, 240, "4498.63")],
)
def test_emi_follows_the_annuity_formula(principal: int, rate: int, tenure: int, emi: str) -> None:
    assert annuity_emi(Decimal(principal), Decimal(rate), tenure) == Decimal(emi)
