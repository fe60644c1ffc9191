"""Who borrows and on what terms: plausible amounts, terms that add up."""

import numpy as np

from producers.simulator.emi import annuity_emi
from producers.simulator.simulate import Emission
from streams.contracts.events import LoanOpened


def test_loans_are_as_the_portfolio_should_be(emissions: list[Emission]) -> None:
    opened = [each.event for each in emissions if isinstance(each.event, LoanOpened)]
    amounts = np.array([float(event.annuity.principal) for event in opened])
    assert 0.6 < ((amounts >= 5_000) & (amounts <= 15_000)).mean() < 0.98
    assert 0.005 < (amounts > 100_000).mean() < 0.1
    for event in opened:
        terms = event.annuity
        assert terms.emi == annuity_emi(terms.principal, terms.annual_rate, terms.tenure_months)
