"""The account rules, pure: event × account → account.

Payments are kept by value date for a window of days and only summed up beyond it. Everything that is
derived (arrears, days past due, missed count) is a function of that ledger and the as-of day, so the order
in which events arrive does not matter inside the window, and the state does not grow with a loan's age.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Literal, NamedTuple

from msgspec.structs import replace

from streams.calendar import due_day, instalments_due_before
from streams.events import AccountEvent, EmiMissed, LoanOpened, PaymentReceived, PaymentReversed
from streams.state import Account, LedgerEntry, Loan, LoanStatus, digest

MINOR_UNITS = 100
MAX_REMEMBERED = 256
MAX_LOANS = 8
MAX_DAYS_TO_FIRST_DUE = 400


@dataclass(frozen=True)
class AccountRules:
    """The lender's conventions. Materiality follows the EBA's definition of default (EBA/GL/2016/07)."""

    grace_days: int = 3
    ledger_days: int = 120
    default_dpd: int = 90
    probation_days: int = 90
    materiality_minor: int = 100 * MINOR_UNITS
    materiality_percent: int = 1


RefusalReason = Literal[
    "invalid_event",
    "key_mismatch",
    "wrong_partition",
    "future_date",
    "too_late",
    "unknown_loan",
    "unknown_instalment",
    "loan_exists",
    "too_many_loans",
    "bad_terms",
    "ledger_full",
    "invalid_label",
]
"""Every code by which a message is refused: the header of its dead letter, and a metric's label."""

CLOSED = "closed"
BUCKETS = ("current", "1-29", "30-59", "60-89", "90+", CLOSED)
"""The delinquency buckets, and where a borrower without an open loan is counted."""


class EventRefusedError(ValueError):
    """An event that is well formed but cannot be true of this account. `reason` is a short, bounded code."""

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Position(NamedTuple):
    """Where a loan stands on its as-of day. Amounts in minor units."""

    as_of: int
    days_past_due: int
    missed: int
    arrears: int
    credit: int
    instalments_paid: int
    instalments_due: int
    outstanding: int


def to_minor(amount: Decimal) -> int:
    """Minor units of an amount that has at most two decimal places (the contracts see to that)."""
    return int(amount * MINOR_UNITS)


def delinquency_bucket(days_past_due: int) -> str:
    """The usual buckets: current, 1-29, 30-59, 60-89, 90+."""
    if days_past_due <= 0:
        return "current"
    for upper, name in ((30, "1-29"), (60, "30-59"), (90, "60-89")):
        if days_past_due < upper:
            return name
    return "90+"


def apply(event: AccountEvent, account: Account | None, rules: AccountRules) -> Account:
    """The account after one event; the same object when the event is a duplicate.

    Raises `EventRefusedError` for an unknown loan, an instalment the terms do not have, a value date
    older than the ledger window, and whatever else would make the account untrue.
    """
    name = digest(event.event_id)
    if account is not None and _is_known(name, account):
        return account
    if isinstance(event, LoanOpened):
        changed = _open(event, account)
    else:
        if account is None:
            raise EventRefusedError("unknown_loan", f"no loan {event.loan_id} is known for this borrower")
        changed = _change(event, account, rules, name)
    happened = event.occurred_at.date().toordinal()
    remembered = replace(changed, recent=((name, happened), *changed.recent)[:MAX_REMEMBERED])
    return close_day(remembered, happened, rules)


def close_day(account: Account, day: int, rules: AccountRules) -> Account:
    """The account at the end of `day`: days past due grow, old ledger entries fold into sums. Never goes back."""
    as_of = max(account.as_of, day)
    horizon = as_of - rules.ledger_days
    loans = tuple(
        _watch_status(_fold(loan, horizon, rules), as_of, rules)
        for loan in account.loans
        if not loan.closed or loan.closed_day >= horizon
    )
    recent = account.recent
    for _, seen in recent:
        if seen < horizon:
            recent = tuple(entry for entry in recent if entry[1] >= horizon)
            break
    return Account(account.borrower_id, as_of, loans, recent)


def position(loan: Loan, as_of: int, rules: AccountRules) -> Position:
    """Waterfall of all payments over the instalments, oldest first. A closed loan owes nothing."""
    paid_up, due, owed, days_past_due = _standing(loan, as_of)
    if loan.closed:
        return Position(as_of, 0, missed_count(loan, loan.closed_day, rules), 0, 0, paid_up, paid_up, 0)
    return Position(
        as_of=as_of,
        days_past_due=days_past_due,
        missed=missed_count(loan, as_of, rules),
        arrears=max(owed, 0),
        credit=max(-owed, 0),
        instalments_paid=paid_up,
        instalments_due=due,
        outstanding=outstanding_principal(loan.principal, loan.emi, loan.annual_rate_e4, paid_up),
    )


class _Standing(NamedTuple):
    """The part of a position that every change of an account asks for: the rest costs several times as much."""

    paid_up: int
    due: int
    owed: int
    days_past_due: int


def _standing(loan: Loan, as_of: int) -> _Standing:
    paid = total_paid(loan)
    paid_up = min(paid // loan.emi, loan.tenure)
    due = instalments_due_before(loan.first_due, loan.tenure, as_of)
    owed = due * loan.emi - paid
    return _Standing(paid_up, due, owed, as_of - due_day(loan.first_due, paid_up + 1) if owed > 0 else 0)


def total_paid(loan: Loan) -> int:
    """All that was paid and not taken back, in minor units."""
    paid = loan.folded_paid
    for entry in loan.ledger:
        if not entry.is_reversed:
            paid += entry.amount
    return paid


def paid_by(loan: Loan, day: int) -> int:
    """What had been paid with a value date up to `day`; exact for days inside the ledger window."""
    paid = loan.folded_paid
    for entry in loan.ledger:
        if entry.value_day <= day and not entry.is_reversed:
            paid += entry.amount
    return paid


def missed_count(loan: Loan, as_of: int, rules: AccountRules) -> int:
    """Instalments not fully paid by due date plus grace, each counted once."""
    return loan.folded_missed + _missed_among(loan, _decided(loan, as_of, rules), rules)


def outstanding_principal(principal: int, emi: int, annual_rate_e4: int, instalments_paid: int) -> int:
    """Principal left after that many instalments, minor units: B = P·q^j − EMI·(q^j − 1)/(q − 1), q = 1 + i/12."""
    growth, annuity = _growth_and_annuity(annual_rate_e4, instalments_paid)
    return max(round(principal * growth - emi * annuity), 0)


@lru_cache(maxsize=65_536)
def _growth_and_annuity(annual_rate_e4: int, months: int) -> tuple[Decimal, Decimal]:
    """q^j and (q^j − 1)/(q − 1). Lenders have few rates and many loans, so these are kept and the loans' sums not."""
    monthly = Decimal(annual_rate_e4) / Decimal(12_000_000)
    if monthly == 0:
        return Decimal(1), Decimal(months)
    growth = (1 + monthly) ** months
    return growth, (growth - 1) / monthly


def next_wake(account: Account, rules: AccountRules, label_days: int) -> int:
    """The first later day whose close changes something for this account, or 0 if none will.

    While anything is past due that is every day; else the day after the next unpaid instalment's due date,
    the day a prediction's outcome is known (`label_days` after a due date), or the end of a probation.
    """
    as_of = account.as_of
    days: list[int] = []
    for loan in account.loans:
        if loan.closed:
            continue
        paid_up = total_paid(loan) // loan.emi
        if paid_up < loan.tenure:
            days.append(max(due_day(loan.first_due, paid_up + 1), as_of) + 1)
        matured = instalments_due_before(loan.first_due, loan.tenure, as_of - label_days + 1)
        if matured < loan.tenure:
            days.append(due_day(loan.first_due, matured + 1) + label_days)
        if loan.status is LoanStatus.PROBATION:
            days.append(max(loan.status_since + rules.probation_days, as_of + 1))
    return min(days, default=0)


def _is_known(name: int, account: Account) -> bool:
    # A loan remembers its own opening for as long as it lives; other ids fall out with the ledger window.
    return any(name == known for known, _ in account.recent) or any(name == loan.opened_by for loan in account.loans)


def _open(event: LoanOpened, account: Account | None) -> Account:
    terms, profile = event.terms, event.profile
    known = account.loans if account else ()
    if any(loan.loan_id == event.loan_id for loan in known):
        raise EventRefusedError("loan_exists", f"loan {event.loan_id} is already open")
    if len(known) >= MAX_LOANS:
        raise EventRefusedError("too_many_loans", f"a borrower holds at most {MAX_LOANS} loans at once")
    wait = (terms.first_due_date - event.occurred_at.date()).days
    if not 0 <= wait <= MAX_DAYS_TO_FIRST_DUE:
        raise EventRefusedError(
            "bad_terms", f"terms.first_due_date: not within {MAX_DAYS_TO_FIRST_DUE} days after the loan was opened"
        )
    opened = event.occurred_at.date().toordinal()
    loan = Loan(
        loan_id=event.loan_id,
        opened_day=opened,
        principal=to_minor(terms.principal),
        emi=to_minor(terms.emi),
        annual_rate_e4=int(terms.annual_rate * 10_000),
        tenure=terms.tenure_months,
        first_due=terms.first_due_date.toordinal(),
        monthly_income=to_minor(profile.monthly_income),
        collateral=to_minor(profile.collateral_value),
        employment=profile.employment_type,
        status_since=opened,
        opened_by=digest(event.event_id),
    )
    if account is None:
        return Account(event.borrower_id, opened, (loan,))
    return replace(account, loans=(*account.loans, loan))


def _change(event: AccountEvent, account: Account, rules: AccountRules, name: int) -> Account:
    at = next((i for i, loan in enumerate(account.loans) if loan.loan_id == event.loan_id), None)
    if at is None:
        raise EventRefusedError("unknown_loan", f"no loan {event.loan_id} is known for this borrower")
    loan = account.loans[at]
    oldest_day = account.as_of - rules.ledger_days
    if isinstance(event, PaymentReceived):
        changed = _pay(event, loan, oldest_day, name)
    elif isinstance(event, PaymentReversed):
        changed = _reverse(event, loan, oldest_day)
    elif isinstance(event, EmiMissed):
        changed = _check_missed(event, loan)
    elif isinstance(event, LoanOpened):
        raise TypeError("an opening is not a change of a known loan")
    else:
        day = event.occurred_at.date().toordinal()
        changed = loan if loan.closed else replace(loan, closed=event.reason, closed_day=day)
    return replace(account, loans=(*account.loans[:at], changed, *account.loans[at + 1 :]))


def _pay(event: PaymentReceived, loan: Loan, oldest_day: int, name: int) -> Loan:
    _refuse_future_value(event.value_date, event, "value_date")
    entry = LedgerEntry(name, event.value_date.toordinal(), to_minor(event.amount), False)
    return _enter(loan, entry, oldest_day)


def _reverse(event: PaymentReversed, loan: Loan, oldest_day: int) -> Loan:
    _refuse_future_value(event.payment_value_date, event, "payment_value_date")
    # The reversal may overtake its payment: an entry of amount 0 then waits for it, marked as taken back.
    entry = LedgerEntry(digest(event.payment_event_id), event.payment_value_date.toordinal(), 0, True)
    return _enter(loan, entry, oldest_day)


def _refuse_future_value(value_date: date, event: AccountEvent, name: str) -> None:
    if (value_date - event.occurred_at.date()).days > 3:
        raise EventRefusedError("future_date", f"{name}: more than three days after the event")


def _enter(loan: Loan, entry: LedgerEntry, oldest_day: int) -> Loan:
    if entry.value_day < oldest_day:
        raise EventRefusedError("too_late", "the payment's value date lies before the ledger window")
    for at, known in enumerate(loan.ledger):
        if known.payment == entry.payment:
            payment = entry if entry.amount else known
            merged = replace(payment, is_reversed=known.is_reversed or entry.is_reversed)
            return replace(loan, ledger=(*loan.ledger[:at], merged, *loan.ledger[at + 1 :]))
    if len(loan.ledger) >= MAX_REMEMBERED:
        raise EventRefusedError("ledger_full", f"more than {MAX_REMEMBERED} payments inside the ledger window")
    return replace(loan, ledger=(*loan.ledger, entry))


def _check_missed(event: EmiMissed, loan: Loan) -> Loan:
    # The count itself comes from the ledger: a payment that arrives late but was made in time must undo it.
    if event.instalment_number > loan.tenure:
        raise EventRefusedError("unknown_instalment", f"instalment_number: the loan has {loan.tenure} instalments")
    due = date.fromordinal(due_day(loan.first_due, event.instalment_number))
    if event.due_date != due:
        raise EventRefusedError("unknown_instalment", f"due_date: instalment is due on {due.isoformat()}")
    return loan


def _decided(loan: Loan, before: int, rules: AccountRules) -> range:
    """Numbers of the instalments, not yet folded, whose grace ended before that day."""
    last = instalments_due_before(loan.first_due, loan.tenure, before - rules.grace_days)
    return range(loan.folded_instalments + 1, last + 1)


def _missed_among(loan: Loan, numbers: range, rules: AccountRules) -> int:
    missed = 0
    for number in numbers:
        if paid_by(loan, due_day(loan.first_due, number) + rules.grace_days) < number * loan.emi:
            missed += 1
    return missed


def _fold(loan: Loan, horizon: int, rules: AccountRules) -> Loan:
    """Sum up what lies before the horizon: nothing that still may arrive can change it."""
    numbers = _decided(loan, horizon, rules)
    old = [entry for entry in loan.ledger if entry.value_day < horizon]
    if not numbers and not old:
        return loan
    paid = [entry for entry in old if not entry.is_reversed]
    return replace(
        loan,
        ledger=tuple(entry for entry in loan.ledger if entry.value_day >= horizon),
        folded_paid=loan.folded_paid + sum(entry.amount for entry in paid),
        folded_instalments=loan.folded_instalments + len(numbers),
        folded_missed=loan.folded_missed + _missed_among(loan, numbers, rules),
        folded_last_paid=max([loan.folded_last_paid, *(entry.value_day for entry in paid)]),
    )


def _watch_status(loan: Loan, as_of: int, rules: AccountRules) -> Loan:
    if loan.closed:
        return loan
    now = _standing(loan, as_of)
    status = _status(loan, now, as_of, rules)
    worst = max(loan.worst_dpd, now.days_past_due)
    if status is loan.status and worst == loan.worst_dpd:
        return loan
    since = loan.status_since if status is loan.status else as_of
    return replace(loan, status=status, status_since=since, worst_dpd=worst)


def _status(loan: Loan, standing: _Standing, as_of: int, rules: AccountRules) -> LoanStatus:
    owed, overdue = standing.owed, standing.owed > rules.materiality_minor
    if standing.days_past_due >= rules.default_dpd and overdue:
        left = outstanding_principal(loan.principal, loan.emi, loan.annual_rate_e4, standing.paid_up)
        if owed * 100 > rules.materiality_percent * left:
            return LoanStatus.DEFAULT
    if loan.status is LoanStatus.DEFAULT:
        return LoanStatus.DEFAULT if owed > 0 else LoanStatus.PROBATION
    if loan.status is LoanStatus.PROBATION:
        if overdue:
            return LoanStatus.DEFAULT
        served = as_of - loan.status_since >= rules.probation_days
        return LoanStatus.PERFORMING if served and owed <= 0 else LoanStatus.PROBATION
    return LoanStatus.PERFORMING
