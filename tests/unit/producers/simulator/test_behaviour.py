"""How borrowers pay: most pay, the rich pay better, and a shock makes more miss."""

from collections import Counter
from datetime import timedelta

import numpy as np

from producers.simulator.behaviour import Shock
from producers.simulator.simulate import Emission, SimulationConfig, simulate
from streams.contracts.events import EmiMissed, LoanOpened


def test_most_miss_little_and_high_income_repays_better(emissions: list[Emission]) -> None:
    income = {e.event.borrower_id: e.event.profile.monthly_income for e in emissions if isinstance(e.event, LoanOpened)}
    missed = Counter(e.event.borrower_id for e in emissions if isinstance(e.event, EmiMissed))
    counts = {borrower: missed[borrower] for borrower in income}
    assert np.mean([count <= 2 for count in counts.values()]) > 0.6
    middle = sorted(income.values())[len(income) // 2]
    rich = [count for borrower, count in counts.items() if income[borrower] > middle]
    poor = [count for borrower, count in counts.items() if income[borrower] <= middle]
    assert np.mean(rich) < 0.8 * np.mean(poor)


def test_a_shock_changes_nothing_before_its_day_and_makes_more_miss_after_it() -> None:
    calm = list(simulate(SimulationConfig(borrowers=400, days=300, seed=5)))
    shock = Shock(day=150, job_losses=0.3, rate_rise=2)
    shocked = list(simulate(SimulationConfig(borrowers=400, days=300, seed=5, shock=shock)))
    struck = SimulationConfig().start + timedelta(days=150)

    def told(emissions: list[Emission], *, before: bool) -> list[Emission]:
        return [each for each in emissions if (each.event.occurred_at.date() < struck) == before]

    def missed(emissions: list[Emission]) -> int:
        return sum(isinstance(each.event, EmiMissed) for each in emissions)

    assert told(shocked, before=True) == told(calm, before=True)
    assert missed(told(shocked, before=False)) > 1.3 * missed(told(calm, before=False))
