"""Small builders of events for the tests."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from streams.account.loan import Account
from streams.account.rules import AccountRules
from streams.contracts.actions import Action
from streams.contracts.events import (
    EVENTS,
    DayClosed,
    EmiMissed,
    Event,
    LoanClosed,
    LoanOpened,
    PaymentReceived,
    PaymentReversed,
    Profile,
    RevolvingTerms,
    ScheduledTerms,
    Terms,
)
from streams.evolve import apply

START = date(2025, 1, 10)
RULES = AccountRules()
EMI = Decimal("500.00")


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def at(offset: int, hour: int = 12) -> datetime:
    return datetime.combine(day(offset), time(hour), UTC)


def opened(loan: str = "L1", borrower: str = "B1", tenure: int = 12, first_due: int = 31) -> LoanOpened:
    return LoanOpened(
        event_id=f"{loan}-open",
        borrower_id=borrower,
        loan_id=loan,
        occurred_at=at(0),
        profile=Profile(
            age=40,
            gender="female",
            employment_type="salaried",
            monthly_income=Decimal(3000),
            num_dependents=1,
            collateral_value=Decimal(0),
        ),
        terms=Terms(
            principal=Decimal(5500),
            annual_rate=Decimal(12),
            tenure_months=tenure,
            emi=EMI,
            first_due_date=day(first_due),
        ),
    )


def payment(offset: int, amount: object = EMI, name: str | None = None, arrives: int | None = None) -> PaymentReceived:
    return PaymentReceived(
        event_id=name or f"pay-{offset}",
        borrower_id="B1",
        loan_id="L1",
        occurred_at=at(offset if arrives is None else arrives),
        amount=Decimal(str(amount)),
        channel="card",
        value_date=day(offset),
    )


def reversal(of: PaymentReceived, offset: int, name: str | None = None) -> PaymentReversed:
    return PaymentReversed(
        event_id=name or f"reverse-{of.event_id}",
        borrower_id="B1",
        loan_id="L1",
        occurred_at=at(offset),
        payment_event_id=of.event_id,
        payment_value_date=of.value_date,
        reason="insufficient_funds",
    )


def missed(number: int, due: date, offset: int) -> EmiMissed:
    return EmiMissed(
        event_id=f"missed-{number}",
        borrower_id="B1",
        loan_id="L1",
        occurred_at=at(offset),
        instalment_number=number,
        due_date=due,
    )


def closed(offset: int, reason: str = "settled") -> LoanClosed:
    return LoanClosed.model_validate(
        {"event_id": "close", "borrower_id": "B1", "loan_id": "L1", "occurred_at": at(offset), "reason": reason}
    )


def tick(offset: int, partition: int = 0) -> DayClosed:
    return DayClosed(
        event_id=f"day-{offset}-{partition}",
        occurred_at=at(offset, 23),
        business_date=day(offset),
        partition=partition,
    )


def _of_a_book(kind: str, /, **fields: object) -> Event:
    told = {"type": kind, "event_id": f"{kind}-x", "borrower_id": "B1", "loan_id": "L1", "occurred_at": at(40)}
    return EVENTS.validate_python(told | fields)


_RUN = {"first_due_date": day(50), "count": 3, "amount": "2000", "every": 7, "unit": "days"}
BOOK_EVENTS = [
    opened("L2").model_copy(
        update={"terms": ScheduledTerms.model_validate({"principal": 1, "annual_rate": 1, "schedule": [_RUN]})}
    ),
    opened("L3").model_copy(update={"terms": RevolvingTerms(credit_limit=Decimal(900), annual_rate=Decimal(9))}),
    _of_a_book("hold_placed", hold_id="h", effect="dpd", reason="dispute", from_date=day(40), until_date=day(45)),
    _of_a_book("hold_lifted", hold_id="h", lifted_on=day(42), loan_id=None),
    _of_a_book(
        "terms_changed", effective_date=day(40), kind="rate", forbearance=True, annual_rate="5", schedule=[_RUN]
    ),
    _of_a_book("terms_change_reversed", change_event_id="terms_changed-x", effective_date=day(40)),
    _of_a_book("loan_reopened", reason="closed_by_mistake"),
    _of_a_book("loan_charged_off", reason="past_due"),
    _of_a_book("payment_refunded", amount="5", value_date=day(40)),
    _of_a_book("instalment_billed", number=1, due_date=day(60), amount="50", statement_balance="90"),
]
"""One of each kind that only some books hold."""


def action(**changes: object) -> Action:
    """A settlement offer to B1, changed as told."""
    told = {
        "action_id": "0-1-x",
        "borrower_id": "B1",
        "loan_id": "L1",
        "previous_strategy": "automated_reminder",
        "strategy": "settlement_offer",
        "score": 0.6,
        "forest_score": 0.6,
        "online_score": None,
        "online_weight": 0,
        "reasons": [{"feature": "days_past_due", "value": 9, "contribution": 0.2, "text": "9 days past due"}],
        "days_past_due": 9,
        "delinquency_bucket": "1-29",
        "missed_count": 1,
        "arrears": "500.00",
        "forest_version": "f1",
        "online_version": 0,
        "caused_by": "e",
        "event_type": "day_closed",
        "occurred_at": at(40),
        "published_at": at(40),
        "decided_at": at(40),
    }
    return Action.model_validate(told | changes)


def account_of(*events: object, rules: AccountRules = RULES) -> Account:
    account: Account | None = None
    for event in events:
        account = apply(event, account, rules)  # type: ignore[arg-type]
    assert account is not None
    return account
