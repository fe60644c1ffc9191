"""What an event says, as a line for people."""

from __future__ import annotations

from functools import singledispatch

from streams.contracts.events import (
    AccountEvent,
    AnyTerms,
    EmiMissed,
    HoldLifted,
    HoldPlaced,
    InstalmentBilled,
    LoanChargedOff,
    LoanClosed,
    LoanOpened,
    LoanReopened,
    PaymentReceived,
    PaymentRefunded,
    PaymentReversed,
    RevolvingTerms,
    ScheduledTerms,
    TermsChanged,
    TermsChangeReversed,
)


def spaced(name: str) -> str:
    """A code of the contracts as words."""
    return name.replace("_", " ")


@singledispatch
def in_words(event: AccountEvent) -> str:
    """What an event says. Raises `TypeError` for a kind that nobody found words for."""
    raise TypeError(f"no words for {type(event).__name__}")


@in_words.register
def _(event: LoanOpened) -> str:
    return _terms_in_words(event.terms)


@in_words.register
def _(event: PaymentReceived) -> str:
    return f"{event.amount:,.2f} by {spaced(event.channel)}, value date {event.value_date}"


@in_words.register
def _(event: PaymentRefunded) -> str:
    return f"{event.amount:,.2f} paid back to the borrower, value date {event.value_date}"


@in_words.register
def _(event: EmiMissed) -> str:
    return f"instalment {event.instalment_number}, due {event.due_date}, unpaid after its grace days"


@in_words.register
def _(event: PaymentReversed) -> str:
    return f"payment {event.payment_event_id} taken back: {spaced(event.reason)}"


@in_words.register
def _(event: LoanClosed) -> str:
    return spaced(event.reason) + (f" into loan {event.into_loan_id}" if event.into_loan_id else "")


@in_words.register
def _(event: LoanChargedOff) -> str:
    return f"charged off: {spaced(event.reason)}"


@in_words.register
def _(event: LoanReopened) -> str:
    return f"opened again: {spaced(event.reason)}"


@in_words.register
def _(event: InstalmentBilled) -> str:
    return f"bill {event.number}: {event.amount:,.2f} due {event.due_date}"


@in_words.register
def _(event: TermsChanged) -> str:
    count = sum(run.count for run in event.schedule)
    concession = ", forbearance" if event.forbearance else ""
    return f"terms changed ({spaced(event.kind)}{concession}): {count} instalments from {event.effective_date} on"


@in_words.register
def _(event: TermsChangeReversed) -> str:
    return f"change of terms {event.change_event_id} taken back"


@in_words.register
def _(event: HoldPlaced) -> str:
    until = f"until {event.until_date}" if event.until_date else "until it is lifted"
    scope = f"loan {event.loan_id}" if event.loan_id else "all loans"
    return f"hold {event.hold_id} on {event.effect} of {scope}: {spaced(event.reason)}, {event.from_date} {until}"


@in_words.register
def _(event: HoldLifted) -> str:
    return f"hold {event.hold_id} lifted on {event.lifted_on}"


def _terms_in_words(terms: AnyTerms) -> str:
    rate = f"{terms.annual_rate.normalize():f} %"
    if isinstance(terms, RevolvingTerms):
        return f"credit limit of {terms.credit_limit:,.2f} at {rate}"
    if isinstance(terms, ScheduledTerms):
        count = sum(run.count for run in terms.schedule)
        return f"loan of {terms.principal:,.2f} at {rate}, {count} instalments by its own schedule"
    months = f"{terms.tenure_months} months"
    return f"loan of {terms.principal:,.2f} over {months} at {rate}, instalment {terms.emi:,.2f}"
