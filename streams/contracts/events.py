"""The event contracts of the topic `riskmon.events`, one discriminated union.

Money travels as a decimal string with at most two places, times as ISO 8601 in UTC. Fields the
contract does not know are refused, so that a misspelt field is an error and not a silent loss.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    Discriminator,
    Field,
    Tag,
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


Rate = Annotated[Decimal, Field(ge=0, le=100, decimal_places=4, allow_inf_nan=False), PlainNumber()]


class _Rated(Contract):
    annual_rate: Rate = Field(description="Percent a year, 12.5 means 12.5 %.")

    @property
    def annual_rate_e4(self) -> int:
        """The rate in ten-thousandths of a percent."""
        return int(self.annual_rate * 10_000)


class Terms(_Rated):
    """The repayment terms. Instalment k (from 1) is due k - 1 months after `first_due_date`."""

    principal: PositiveAmount
    tenure_months: int = Field(ge=1, le=480)
    emi: PositiveAmount = Field(description="Equated monthly instalment.")
    first_due_date: BusinessDate


MAX_LOAN_MINOR = 10**14 - 1
"""The largest amount that a contract holds: all instalments of a loan together stay below it."""


MAX_TIMES_PRINCIPAL = 100
"""All instalments together are at most this many times the principal; 480 months at 100 % a year make it 40."""


def terms_problem(terms: Terms) -> str | None:
    """What makes these terms impossible although each of them is valid; None if nothing does."""
    return total_problem(to_minor(terms.emi) * terms.tenure_months, to_minor(terms.principal))


def total_problem(total: int, principal: int) -> str | None:
    """What is wrong with all instalments together, in minor units; None if nothing is."""
    if total > MAX_LOAN_MINOR:
        return f"all instalments together are more than {MAX_LOAN_MINOR // MINOR_UNITS}"
    if total > MAX_TIMES_PRINCIPAL * principal:
        return f"all instalments together are more than {MAX_TIMES_PRINCIPAL} times the principal"
    return None


class ScheduleRun(Contract):
    """Instalments of one amount, evenly spaced. A run of one is a balloon, a bullet or an odd last instalment."""

    first_due_date: BusinessDate
    count: int = Field(1, ge=1, le=4000)
    amount: PositiveAmount
    every: int = Field(1, ge=1, le=366, description="So many `unit`s lie between two due dates.")
    unit: Literal["months", "days"] = Field(
        "months", description="Months are counted from the run's first due date, clamped to the month's end."
    )


class ScheduledTerms(_Rated):
    """Terms whose instalments are told as runs, in the order of their due dates: step-ups, balloons, weekly loans."""

    principal: PositiveAmount
    schedule: Annotated[list[ScheduleRun], Field(min_length=1, max_length=60)]


class RevolvingTerms(_Rated):
    """Terms of a card or an overdraft: what falls due is told by `instalment_billed`."""

    credit_limit: PositiveAmount


_KINDS_OF_TERMS = ("annuity", "scheduled", "revolving")


def _kind_of_terms(terms: Any) -> str:
    """Which terms are meant, told by the field that only they have."""
    for name, kind in (("schedule", "scheduled"), ("credit_limit", "revolving")):
        if name in terms if isinstance(terms, dict) else hasattr(terms, name):
            return kind
    return "annuity"


AnyTerms = Annotated[
    Annotated[Terms, Tag("annuity")]
    | Annotated[ScheduledTerms, Tag("scheduled")]
    | Annotated[RevolvingTerms, Tag("revolving")],
    Discriminator(_kind_of_terms),
]


class LoanOpened(LoanEvent):
    """A loan starts: who borrows and on what terms."""

    type: Literal["loan_opened"] = "loan_opened"
    profile: Profile
    terms: AnyTerms

    @property
    def annuity(self) -> Terms:
        """The terms of a loan that is known to be an annuity; raises `TypeError` for another."""
        if not isinstance(self.terms, Terms):
            raise TypeError(f"loan {self.loan_id} is no annuity")
        return self.terms


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
    reason: Literal["settled", "written_off", "refinanced"] = Field(
        description="settled: nothing is claimed any more, even if less was paid than owed. written_off: payments that"
        " still come are recoveries."
    )
    into_loan_id: Identifier | None = Field(None, description="The loan that took this one over, if refinanced.")


class LoanReopened(LoanEvent):
    """A closed loan is open again, as if it had not been closed."""

    type: Literal["loan_reopened"] = "loan_reopened"
    reason: Literal["closed_by_mistake", "payment_reversed", "other"]


class LoanChargedOff(LoanEvent):
    """The lender books the loan as a loss and still claims it: payments from then on are recoveries."""

    type: Literal["loan_charged_off"] = "loan_charged_off"
    reason: Literal["past_due", "insolvency", "fraud", "death", "other"]


class PaymentRefunded(LoanEvent):
    """Money goes back to the borrower, who had paid too much. Its `event_id` is its name for a later reversal."""

    type: Literal["payment_refunded"] = "payment_refunded"
    amount: PositiveAmount
    value_date: BusinessDate = Field(description="The day from which the money does not count as paid any more.")


class InstalmentBilled(LoanEvent):
    """A statement of a revolving loan: what is to be paid at least, and by when."""

    type: Literal["instalment_billed"] = "instalment_billed"
    number: int = Field(ge=1, le=10_000, description="The bill's own number; a loan has one bill of a number.")
    due_date: BusinessDate
    amount: PositiveAmount = Field(description="What is to be paid at least by the due date.")
    statement_date: BusinessDate | None = Field(
        None, description="Money with an earlier value date has made this bill smaller; by default the event's day."
    )
    statement_balance: Amount | None = Field(None, description="All that was owed on the statement's day.")
    credit_limit: PositiveAmount | None = Field(None, description="The limit from this statement on.")


class TermsChanged(LoanEvent):
    """From a day on, another schedule falls due. What fell due before stays due, unless the loan is re-aged."""

    type: Literal["terms_changed"] = "terms_changed"
    effective_date: BusinessDate = Field(description="Instalments due from this day on are replaced by the schedule.")
    kind: Literal["re_age", "rate", "instalment", "due_day", "tenure"] = Field(
        description="re_age: what is unpaid of earlier instalments is taken over by the schedule."
    )
    forbearance: bool = Field(description="Whether it is a concession to a borrower in difficulty.")
    annual_rate: Rate | None = Field(None, description="Percent a year from then on; left out: as before.")
    schedule: Annotated[list[ScheduleRun], Field(min_length=1, max_length=60)]


class TermsChangeReversed(LoanEvent):
    """A change of terms is taken back as if it had never been told."""

    type: Literal["terms_change_reversed"] = "terms_change_reversed"
    change_event_id: Identifier
    effective_date: BusinessDate = Field(description="The effective date of the change that is taken back.")


class _HoldEvent(_Event):
    borrower_id: Identifier
    loan_id: Identifier | None = Field(None, description="Left out: all loans of the borrower.")
    hold_id: Identifier = Field(description="Unique among the borrower's holds.")


HoldEffect = Literal["dpd", "contact", "strategy"]
HoldReason = Literal["moratorium", "breathing_space", "dispute", "bereavement", "insolvency", "disaster", "other"]


class HoldPlaced(_HoldEvent):
    """Something is paused from a day to another, both included: counting days past due, contact, or the strategy."""

    type: Literal["hold_placed"] = "hold_placed"
    effect: HoldEffect = Field(
        description="dpd: days past due do not grow. contact: scores go on, actions are withheld and the newest is"
        " published once at the end. strategy: the strategy in force stays."
    )
    reason: HoldReason
    from_date: BusinessDate
    until_date: BusinessDate | None = Field(None, description="The last day held. Left out: until it is lifted.")


class HoldLifted(_HoldEvent):
    """A hold ends before its time."""

    type: Literal["hold_lifted"] = "hold_lifted"
    lifted_on: BusinessDate = Field(description="The first day that is not held any more.")


class DayClosed(_Event):
    """The business calendar's tick: this day is over on this partition of the topic."""

    type: Literal["day_closed"] = "day_closed"
    business_date: BusinessDate
    partition: int = Field(ge=0)


ChangeEvent = (
    PaymentReceived
    | EmiMissed
    | PaymentReversed
    | LoanClosed
    | InstalmentBilled
    | TermsChanged
    | TermsChangeReversed
    | LoanReopened
    | LoanChargedOff
    | PaymentRefunded
)
HoldEvent = HoldPlaced | HoldLifted
AccountEvent = LoanOpened | ChangeEvent | HoldEvent
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
    return "; ".join(f"{_where(each['loc'])}: {_what(each)}" for each in found)


def _where(steps: tuple[int | str, ...]) -> str:
    # A kind of terms is no field of the message.
    return ".".join(str(step)[:64] for step in steps if step not in _KINDS_OF_TERMS) or "message"


def _what(found: ErrorDetails) -> str:
    # Pydantic's own text for this one repeats the type that was sent.
    return "not a known event type" if found["type"] == "union_tag_invalid" else found["msg"][:200]
