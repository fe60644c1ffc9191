"""The account rules, against hand-worked cases and an independent recomputation."""

from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.account.codec import BorrowerState, decode_state, encode
from streams.account.decision_state import DecisionState
from streams.account.loan import Account
from streams.account.payments import paid_by
from streams.account.rules import MAX_FOLDED_MINOR, AccountRules
from streams.account.standing import position
from streams.contracts.events import AccountEvent, LoanEvent, PaymentReceived, PaymentReversed
from streams.contracts.refusals import EventRefusedError
from streams.contracts.vocabulary import LoanStatus
from streams.evolve import apply, close_day, next_wake
from tests.support.factories import EMI, RULES, account_of, closed, day, missed, opened, payment, reversal

DUE = [31, 59]  # 10 February and 10 March, counted from 10 January


def standing(account: Account) -> tuple[int, int, int]:
    now = position(account.loans[0], account.as_of, RULES)
    return now.arrears, now.days_past_due, now.missed


def test_oldest_instalment_is_paid_first_and_the_rest_is_credit() -> None:
    account = close_day(account_of(opened(), payment(31, 700)), day(40).toordinal(), RULES)
    now = position(account.loans[0], account.as_of, RULES)
    assert (now.arrears, now.credit, now.instalments_paid, now.days_past_due) == (0, 20_000, 1, 0)
    later = close_day(account, day(DUE[1] + 5).toordinal(), RULES)
    assert standing(later) == (30_000, 5, 1)


def test_days_past_due_grow_because_days_pass() -> None:
    account = account_of(opened())
    assert [standing(close_day(account, day(31 + n).toordinal(), RULES))[1] for n in (0, 1, 27)] == [0, 1, 27]


def test_missed_instalment_counts_once_whoever_tells_of_it() -> None:
    told = account_of(opened(), missed(1, day(31), 35))
    ticked = close_day(account_of(opened()), day(35).toordinal(), RULES)
    both = close_day(told, day(36).toordinal(), RULES)
    assert [standing(each)[2] for each in (told, ticked, both)] == [1, 1, 1]
    assert standing(close_day(account_of(opened()), day(34).toordinal(), RULES))[2] == 0


def test_a_payment_made_in_time_that_arrives_late_undoes_the_miss() -> None:
    account = account_of(opened(), missed(1, day(31), 35), payment(33, arrives=40))
    assert standing(account) == (0, 0, 0)


def test_reversal_takes_the_payment_back_before_or_after_it() -> None:
    paid = payment(31)
    after = account_of(opened(), paid, reversal(paid, 36), reversal(paid, 37, name="again"))
    before = account_of(opened(), reversal(paid, 36), payment(31, arrives=37))
    assert standing(after) == standing(before) == (50_000, 6, 1)


def test_default_then_probation_then_cure() -> None:
    account = close_day(account_of(opened()), day(31 + 90).toordinal(), RULES)
    assert account.loans[0].status is LoanStatus.DEFAULT
    paid = apply(payment(122, 2000), account, RULES)
    assert paid.loans[0].status is LoanStatus.PROBATION
    paid = apply(payment(123, 2000), paid, RULES)
    assert close_day(paid, day(122 + 89).toordinal(), RULES).loans[0].status is LoanStatus.PROBATION
    assert close_day(paid, day(122 + 90).toordinal(), RULES).loans[0].status is LoanStatus.PERFORMING


def test_immaterial_arrears_are_no_default() -> None:
    account = close_day(account_of(opened(tenure=1), payment(31, 450)), day(31 + 100).toordinal(), RULES)
    assert standing(account)[:2] == (5_000, 100)
    assert account.loans[0].status is LoanStatus.PERFORMING


def test_a_closed_loan_owes_nothing() -> None:
    account = close_day(account_of(opened(), closed(80)), day(150).toordinal(), RULES)
    assert standing(account)[:2] == (0, 0)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (payment(31).model_copy(update={"loan_id": "L9"}), "unknown_loan"),
        (missed(1, day(32), 40), "unknown_instalment"),
        (missed(13, day(400), 404), "unknown_instalment"),
        (payment(40, arrives=31), "future_date"),
        (opened().model_copy(update={"event_id": "other"}), "loan_exists"),
    ],
)
def test_what_cannot_be_true_is_refused_with_a_reason(event: AccountEvent, reason: str) -> None:
    with pytest.raises(EventRefusedError) as refusal:
        apply(event, account_of(opened()), RULES)
    assert refusal.value.reason == reason


def test_a_payment_older_than_the_ledger_is_refused_not_guessed() -> None:
    account = close_day(account_of(opened()), day(200).toordinal(), RULES)
    with pytest.raises(EventRefusedError) as refusal:
        apply(payment(50, arrives=200), account, RULES)
    assert refusal.value.reason == "too_late"


def test_an_event_before_any_loan_is_refused() -> None:
    with pytest.raises(EventRefusedError, match="no loan L1"):
        apply(payment(31), None, RULES)


def test_state_does_not_grow_with_the_age_of_the_loan() -> None:
    account = account_of(opened(tenure=480))
    sizes = []
    for month in range(480):
        offset = 31 + month * 30
        account = apply(payment(offset, name=f"p{month}"), account, RULES)
        sizes.append(len(encode(BorrowerState(account, DecisionState(), 0, month))))
    assert max(sizes[240:]) <= max(sizes[12:36]) + 32
    state = BorrowerState(account, DecisionState(), 0, 1)
    assert decode_state(encode(state)) == state


histories = st.lists(
    st.tuples(
        st.integers(1, 106),  # value day; the latest bounce is then still within the ledger window of the first payment
        st.integers(0, 8),  # days until the event arrives
        st.integers(1, 120_000),  # cents
        st.one_of(st.none(), st.integers(0, 15)),  # days until the payment bounces
    ),
    max_size=8,
)


def events_of(history: list[tuple[int, int, int, int | None]]) -> list[LoanEvent]:
    events: list[LoanEvent] = []
    for number, (value_day, delay, cents, bounce) in enumerate(history):
        paid = payment(value_day, Decimal(cents) / 100, f"pay-{number}", value_day + delay)
        events.append(paid)
        if bounce is not None:
            events.append(reversal(paid, value_day + bounce))
    return events


def oracle(events: list[LoanEvent], as_of: date) -> tuple[int, int, int]:
    """Arrears, days past due and missed count from first principles, by Decimal and dates.

    An instalment counts as unpaid while more than 2.50, 0.5 % of 500.00, is open up to and including it.
    """
    reversed_ids = {event.payment_event_id for event in events if isinstance(event, PaymentReversed)}
    payments = [e for e in events if isinstance(e, PaymentReceived) and e.event_id not in reversed_ids]
    dues = [date(2025, 1 + n, 10) for n in range(1, 12)] + [date(2026, 1, 10)]
    paid, tolerance = sum((event.amount for event in payments), Decimal(0)), Decimal("2.50")
    arrears, oldest, missed_instalments = Decimal(0), None, 0
    for number, due in enumerate(dues, 1):
        if due < as_of:
            arrears = max(EMI * number - paid, Decimal(0))
            if arrears > tolerance:
                oldest = oldest or due
        in_time = sum((e.amount for e in payments if e.value_date <= due + timedelta(days=3)), Decimal(0))
        missed_instalments += due + timedelta(days=3) < as_of and EMI * number - in_time > tolerance
    return int(arrears * 100), (as_of - oldest).days if oldest else 0, missed_instalments


@settings(max_examples=150, deadline=None)
@given(histories, st.integers(118, 130))
def test_state_equals_an_independent_recomputation(history: list[tuple[int, int, int, int | None]], until: int) -> None:
    events = events_of(history)
    account = close_day(account_of(opened(), *events), day(until).toordinal(), RULES)
    assert standing(account) == oracle(events, date.fromordinal(account.as_of))


@settings(max_examples=150, deadline=None)
@given(histories, st.data())
def test_any_order_with_duplicates_gives_the_same_state(
    history: list[tuple[int, int, int, int | None]], data: st.DataObject
) -> None:
    events = events_of(history)
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    shuffled = data.draw(st.permutations(events + repeats))
    in_order = close_day(account_of(opened(), *events), day(130).toordinal(), RULES)
    out_of_order = close_day(account_of(opened(), *shuffled), day(130).toordinal(), RULES)
    assert standing(in_order) == standing(out_of_order)


@settings(max_examples=60, deadline=None)
@given(histories)
def test_closing_only_the_days_that_wake_is_closing_every_day(
    history: list[tuple[int, int, int, int | None]],
) -> None:
    start = account_of(opened(), *events_of(history))
    last = day(330).toordinal()
    daily = start
    for each in range(start.as_of + 1, last + 1):
        daily = close_day(daily, each, RULES)
    woken = start
    while 0 < (wake := next_wake(woken, RULES, 30)) <= last:
        woken = close_day(woken, wake, RULES)
    woken = close_day(woken, last, RULES)
    assert standing(woken) == standing(daily)
    assert woken.loans[0].status is daily.loans[0].status
    assert woken.loans[0].worst_dpd == daily.loans[0].worst_dpd


def test_a_duplicate_gives_back_the_very_same_account() -> None:
    account = account_of(opened(), payment(31))
    assert apply(payment(31), account, RULES) is account
    assert apply(opened(), account, AccountRules()) is account


def paid_in(account: Account) -> int:
    return sum(paid_by(loan, account.as_of) for loan in account.loans)


windows = st.lists(
    st.tuples(
        st.integers(0, 400),  # the day on which it comes
        st.integers(0, 220),  # how many days before that its value date lies
        st.integers(1, 90_000),  # cents
        st.sampled_from([60, 120, 200, 400]),  # the setting of that day
    ),
    min_size=2,
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(windows, st.data())
def test_no_payment_counts_twice_whatever_becomes_of_the_ledger_window(
    told: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    account = account_of(opened(tenure=12))
    counted: dict[str, int] = {}
    events: list[PaymentReceived] = []
    for number, (comes, before, cents, ledger_days) in enumerate(sorted(told)):
        rules = AccountRules(ledger_days=ledger_days)
        account = close_day(account, day(comes).toordinal(), rules)
        events.append(payment(max(comes - before, 0), Decimal(cents) / 100, f"pay-{number}", comes))
        for event in (events[-1], data.draw(st.sampled_from(events))):
            # What lies before the window, or before what was summed up, is refused and does not count.
            with suppress(EventRefusedError):
                account = apply(event, account, rules)
                counted[event.event_id] = int(event.amount * 100)
    assert paid_in(account) == sum(counted.values())


@pytest.mark.parametrize("knows_horizon", [True, False])
def test_a_late_duplicate_does_not_count_twice_under_a_longer_window(knows_horizon: bool) -> None:
    account = account_of(opened(), payment(31), payment(170, 1))
    if not knows_horizon:  # folded by a version that did not keep it
        account = replace(account, loans=tuple(replace(loan, folded_to=0) for loan in account.loans))
    with pytest.raises(EventRefusedError) as refusal:
        apply(payment(31), account, AccountRules(ledger_days=200))
    assert refusal.value.reason == "too_late"
    assert paid_in(apply(payment(60, arrives=171), account, AccountRules(ledger_days=200))) == 1001_00


def test_payments_add_up_to_no_more_than_a_row_can_hold() -> None:
    account = account_of(opened())
    loans = tuple(replace(loan, folded_paid=MAX_FOLDED_MINOR + 1) for loan in account.loans)
    with pytest.raises(EventRefusedError) as refusal:
        apply(payment(31), replace(account, loans=loans), RULES)
    assert refusal.value.reason == "ledger_full"
