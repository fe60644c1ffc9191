"""The simulated portfolio's events: deterministic, of the contract, and true to themselves."""

from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from itertools import islice

import pytest

from producers.simulator.simulate import Emission, SimulationConfig, simulate
from streams.account.loan import Account
from streams.account.rules import AccountRules
from streams.account.standing import missed_count
from streams.contracts.events import DayClosed, EmiMissed, LoanOpened, PaymentReceived, PaymentReversed, decode_event
from streams.evolve import apply, close_day


def test_same_seed_same_events_and_more_days_change_nothing(emissions: list[Emission]) -> None:
    longer = simulate(SimulationConfig(borrowers=500, days=400, seed=5))
    assert list(islice(longer, len(emissions))) == emissions
    assert list(islice(simulate(SimulationConfig(seed=6)), 50)) != emissions[:50]


def test_every_event_is_of_the_contract_and_ids_are_unique(emissions: list[Emission]) -> None:
    assert all(decode_event(each.event.to_json()) == each.event for each in emissions)
    assert max(Counter(each.event.event_id for each in emissions).values()) == 1


def test_days_follow_each_other_and_each_is_closed_on_every_partition(emissions: list[Emission]) -> None:
    times = [each.event.occurred_at for each in emissions]
    assert times == sorted(times)
    ticks = Counter(each.event.business_date for each in emissions if isinstance(each.event, DayClosed))
    assert len(ticks) == 360
    assert set(ticks.values()) == {4}


@pytest.mark.parametrize("grace", [0, 3, 10, 30])
def test_an_instalment_is_reported_missed_exactly_when_it_was_not_paid_by_then(grace: int) -> None:
    emissions = list(simulate(SimulationConfig(borrowers=150, days=360, seed=5, grace_days=grace)))
    terms = {e.event.loan_id: e.event.annuity for e in emissions if isinstance(e.event, LoanOpened)}
    paid: dict[str, dict[str, PaymentReceived]] = defaultdict(dict)
    reported = 0
    for emission in emissions:
        event = emission.event
        if isinstance(event, PaymentReceived):
            paid[event.loan_id][event.event_id] = event
        elif isinstance(event, PaymentReversed):
            assert paid[event.loan_id].pop(event.payment_event_id).value_date == event.payment_value_date
        elif isinstance(event, EmiMissed):
            reported += 1
            deadline = event.due_date + timedelta(days=grace)
            assert event.occurred_at.date() == deadline + timedelta(days=1)
            in_time = [p.amount for p in paid[event.loan_id].values() if p.value_date <= deadline]
            assert sum(in_time, Decimal(0)) < terms[event.loan_id].emi * event.instalment_number
    assert reported > 60


@pytest.mark.parametrize("grace", [0, 10, 30])
def test_grace_changes_what_is_reported_and_nobodys_payments(grace: int) -> None:
    """And the stream, which counts by its own setting, counts what is reported."""
    default, other = (
        [e.event for e in simulate(SimulationConfig(borrowers=60, days=300, seed=3, partitions=1, grace_days=days))]
        for days in (3, grace)
    )
    assert [e for e in other if not isinstance(e, EmiMissed)] == [e for e in default if not isinstance(e, EmiMissed)]
    reported = Counter(event.loan_id for event in other if isinstance(event, EmiMissed))
    reversed_loans = {event.loan_id for event in other if isinstance(event, PaymentReversed)}
    rules = AccountRules(grace_days=grace)
    accounts: dict[str, Account] = {}
    for event in other:
        if isinstance(event, DayClosed):
            continue
        accounts[event.borrower_id] = apply(event, accounts.get(event.borrower_id), rules)
    last = other[-1].occurred_at.date().toordinal()
    compared = 0
    for account in (close_day(account, last, rules) for account in accounts.values()):
        for loan in account.loans:
            # A payment taken back after the report makes an instalment missed that nobody reports any more.
            if not loan.closed and loan.loan_id not in reversed_loans:
                compared += reported[loan.loan_id]
                assert missed_count(loan, last, rules) == reported[loan.loan_id]
    assert compared > 10
