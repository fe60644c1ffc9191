"""The event contracts of the topic `riskmon.events`, one discriminated union.

Money travels as a decimal string with at most two places, times as ISO 8601 in UTC. Fields the
contract does not know are refused, so that a misspelt field is an error and not a silent loss.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, get_args

from pydantic import (
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails

from streams.contracts.base import Amount, BusinessDate, Contract, Identifier, PlainNumber, PositiveAmount, Utc
from streams.contracts.money import MINOR_UNITS, to_minor


class InvalidEventError(ValueError):
    """A message that is no event of the contract; the text names each field and what is wrong with it."""


class _Event(Contract):
    schema_version: Literal[1] = 1
    event_id: Identifier = Field(description="Unique; a second event with the same id changes nothing.")
    occurred_at: Utc = Field(description="When it happened in the business, UTC.")

    def to_json(self) -> bytes:
        """The event as it stands on the topic."""
        return self.model_dump_json().encode()


class LoanEvent(_Event):
    """An event about one loan of one borrower; the message key is the borrower's id."""

    borrower_id: Identifier
    loan_id: Identifier


class Profile(Contract):
    """The borrower as known when the loan starts. Age, gender and dependants never feed a score."""

    age: int = Field(ge=18, le=120)
    gender: Literal["female", "male", "other", "undisclosed"]
    employment_type: Literal["salaried", "self_employed", "unemployed"]
    monthly_income: Amount
    num_dependents: int = Field(ge=0, le=20)
    collateral_value: Amount


class Terms(Contract):
    """The repayment terms. Instalment k (from 1) is due k - 1 months after `first_due_date`."""

    principal: PositiveAmount
    annual_rate: Annotated[Decimal, Field(ge=0, le=100, decimal_places=4, allow_inf_nan=False), PlainNumber()] = Field(
        description="Percent a year, 12.5 means 12.5 %."
    )
    tenure_months: int = Field(ge=1, le=480)
    emi: PositiveAmount = Field(description="Equated monthly instalment.")
    first_due_date: BusinessDate


MAX_LOAN_MINOR = 10**14 - 1
"""The largest amount that a contract holds: all instalments of a loan together stay below it."""


MAX_TIMES_PRINCIPAL = 100
"""All instalments together are at most this many times the principal; 480 months at 100 % a year make it 40."""


def terms_problem(terms: Terms) -> str | None:
    """What makes these terms impossible although each of them is valid; None if nothing does."""
    owed = to_minor(terms.emi) * terms.tenure_months
    if owed > MAX_LOAN_MINOR:
        return f"all instalments together are more than {MAX_LOAN_MINOR // MINOR_UNITS}"
    if owed > MAX_TIMES_PRINCIPAL * to_minor(terms.principal):
        return f"all instalments together are more than {MAX_TIMES_PRINCIPAL} times the principal"
    return None


class LoanOpened(LoanEvent):
    """A loan starts: who borrows and on what terms."""

    type: Literal["loan_opened"] = "loan_opened"
    profile: Profile
    terms: Terms


class PaymentReceived(LoanEvent):
    """Money came in. Its `event_id` is the payment's name for a later reversal."""

    type: Literal["payment_received"] = "payment_received"
    amount: PositiveAmount
    channel: Literal["direct_debit", "bank_transfer", "card", "cash", "cheque", "upi"]
    value_date: BusinessDate = Field(description="The day from which the money counts as paid.")


class EmiMissed(LoanEvent):
    """An instalment stayed unpaid after its grace days."""

    type: Literal["emi_missed"] = "emi_missed"
    instalment_number: int = Field(ge=1, le=480)
    due_date: BusinessDate


class PaymentReversed(LoanEvent):
    """A payment is taken back as if it had never been made: bounced cheque, failed direct debit."""

    type: Literal["payment_reversed"] = "payment_reversed"
    payment_event_id: Identifier
    payment_value_date: BusinessDate = Field(description="The value date of the payment that is taken back.")
    reason: Literal["insufficient_funds", "cheque_bounced", "mandate_cancelled", "disputed", "bank_error"]


class LoanClosed(LoanEvent):
    """The loan ends. Nothing is due on it any more."""

    type: Literal["loan_closed"] = "loan_closed"
    reason: Literal["settled", "written_off", "refinanced"]


class DayClosed(_Event):
    """The business calendar's tick: this day is over on this partition of the topic."""

    type: Literal["day_closed"] = "day_closed"
    business_date: BusinessDate
    partition: int = Field(ge=0)


ChangeEvent = PaymentReceived | EmiMissed | PaymentReversed | LoanClosed
AccountEvent = LoanOpened | ChangeEvent
Event = Annotated[
    AccountEvent | DayClosed,
    Field(discriminator="type"),
]
EVENTS: TypeAdapter[Event] = TypeAdapter(Event)
_validator = EVENTS.validator
EVENT_TYPES: tuple[str, ...] = tuple(each.model_fields["type"].default for each in (*get_args(AccountEvent), DayClosed))


def decode_event(message: bytes) -> Event:
    """Validate one message straight from its bytes.

    Raises `InvalidEventError`, whose text names every wrong field but repeats no value: values may be personal.
    """
    try:
        event: Event = _validator.validate_json(message)
        return event
    except ValidationError as error:
        raise InvalidEventError(describe(error)) from None


def describe(error: ValidationError) -> str:
    """A validation error as one line, `field: what is wrong; …`, without the offending values."""
    found = error.errors(include_input=False, include_url=False)[:8]
    return "; ".join(
        f"{'.'.join(str(step)[:64] for step in each['loc']) or 'message'}: {_what(each)}" for each in found
    )


def _what(found: ErrorDetails) -> str:
    # Pydantic's own text for this one repeats the type that was sent.
    return "not a known event type" if found["type"] == "union_tag_invalid" else found["msg"][:200]
