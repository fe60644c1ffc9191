"""The event contracts of the topic `riskmon.events`, one discriminated union.

Money travels as a decimal string with at most two places, times as ISO 8601 in UTC. Fields the
contract does not know are refused, so that a misspelt field is an error and not a silent loss.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, core_schema


class InvalidEventError(ValueError):
    """A message that is no event of the contract; the text names each field and what is wrong with it."""


class _PlainNumber:
    """Only a number or a string is read as a decimal; Python's Decimal also takes a list for sign, digits, exponent.

    In Rust, since a function in Python costs more than all the rest of an event's validation.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        decimal = handler(source)
        told = core_schema.custom_error_schema(
            core_schema.union_schema(
                [
                    core_schema.str_schema(strict=True),
                    core_schema.int_schema(strict=True),
                    core_schema.float_schema(strict=True),
                ]
            ),
            custom_error_type="plain_number",
            custom_error_message="Value error, should be a number or a string with one",
        )
        return core_schema.json_or_python_schema(core_schema.chain_schema([told, decimal]), decimal)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema["python_schema"])


def _two_places(amount: Decimal) -> str:
    return str(amount.quantize(Decimal("0.01")))


def _as_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the years that can be told in UTC") from None


Identifier = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
Amount = Annotated[
    Decimal,
    Field(ge=0, max_digits=14, decimal_places=2, allow_inf_nan=False),
    _PlainNumber(),
    PlainSerializer(_two_places, return_type=str, when_used="json"),
]
PositiveAmount = Annotated[
    Decimal,
    Field(ge=0, gt=0, max_digits=14, decimal_places=2, allow_inf_nan=False),
    _PlainNumber(),
    PlainSerializer(_two_places, return_type=str, when_used="json"),
]
Utc = Annotated[AwareDatetime, AfterValidator(_as_utc)]


class Contract(BaseModel):
    """Base of everything that crosses a topic: immutable, and closed to unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    annual_rate: Annotated[Decimal, Field(ge=0, le=100, decimal_places=4, allow_inf_nan=False), _PlainNumber()] = Field(
        description="Percent a year, 12.5 means 12.5 %."
    )
    tenure_months: int = Field(ge=1, le=480)
    emi: PositiveAmount = Field(description="Equated monthly instalment.")
    first_due_date: date


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
    value_date: date = Field(description="The day from which the money counts as paid.")


class EmiMissed(LoanEvent):
    """An instalment stayed unpaid after its grace days."""

    type: Literal["emi_missed"] = "emi_missed"
    instalment_number: int = Field(ge=1, le=480)
    due_date: date


class PaymentReversed(LoanEvent):
    """A payment is taken back as if it had never been made: bounced cheque, failed direct debit."""

    type: Literal["payment_reversed"] = "payment_reversed"
    payment_event_id: Identifier
    payment_value_date: date = Field(description="The value date of the payment that is taken back.")
    reason: Literal["insufficient_funds", "cheque_bounced", "mandate_cancelled", "disputed", "bank_error"]


class LoanClosed(LoanEvent):
    """The loan ends. Nothing is due on it any more."""

    type: Literal["loan_closed"] = "loan_closed"
    reason: Literal["settled", "written_off", "refinanced"]


class DayClosed(_Event):
    """The business calendar's tick: this day is over on this partition of the topic."""

    type: Literal["day_closed"] = "day_closed"
    business_date: date
    partition: int = Field(ge=0)


AccountEvent = LoanOpened | PaymentReceived | EmiMissed | PaymentReversed | LoanClosed
Event = Annotated[
    AccountEvent | DayClosed,
    Field(discriminator="type"),
]
EVENTS: TypeAdapter[Event] = TypeAdapter(Event)
EVENT_TYPES: tuple[str, ...] = tuple(each.model_fields["type"].default for each in (*get_args(AccountEvent), DayClosed))


def decode_event(message: bytes) -> Event:
    """Validate one message straight from its bytes.

    Raises `InvalidEventError`, whose text names every wrong field but repeats no value: values may be personal.
    """
    try:
        return EVENTS.validate_json(message)
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
