"""The account rules, pure: event × account → account, and the day on which time alone changes it.

In: an event that `streams/decide.py` found sound, and the borrower's account. Out: the account after it, or a refusal.
Next: `streams/features.py` tells the models what they ask of it.

Payments are kept by value date for a window of days and only summed up beyond it. Everything that is
derived (arrears, days past due, missed count) is a function of that ledger and the as-of day, so the order
in which events arrive does not matter inside the window, and the state does not grow with a loan's age.
"""

from __future__ import annotations

from datetime import date

from msgspec.structs import replace

from streams.account.loan import Account, LedgerEntry, Loan, digest
from streams.account.rules import (
    MAX_DAYS_TO_FIRST_DUE,
    MAX_FOLDED_MINOR,
    MAX_LOANS,
    MAX_REMEMBERED,
    AccountRules,
)
from streams.account.standing import Standing, decided, missed_among, outstanding_principal, standing, total_paid
from streams.contracts.due_dates import due_day, instalments_due_before
from streams.contracts.events import (
    AccountEvent,
    ChangeEvent,
    EmiMissed,
    LoanOpened,
    PaymentReceived,
    PaymentReversed,
    terms_problem,
)
from streams.contracts.money import to_minor
from streams.contracts.refusals import EventRefusedError
from streams.contracts.vocabulary import LoanStatus


def apply(event: AccountEvent, account: Account | None, rules: AccountRules) -> Account:
    """The account after one event; the same object when the event is a duplicate.

    Raises `EventRefusedError` for an unknown loan, an instalment the terms do not have, a value date
    older than the ledger window, and whatever else would make the account untrue.
    """
    name = digest(event.event_id)
    if account is not None and _is_known(name, account):
        return account
    happened = event.occurred_at.date().toordinal()
    if event.type == "loan_opened":
        known = account.loans if account else ()
        loans = (*known, _open(event, known, happened, name))
    elif account is not None:
        loans = _change(event, account, rules, name)
    else:
        raise EventRefusedError("unknown_loan", f"no loan {event.loan_id} is known for this borrower")
    as_of = max(account.as_of, happened) if account else happened
    recent = ((name, happened), *(account.recent if account else ()))[:MAX_REMEMBERED]
    return _closed(event.borrower_id, as_of, loans, recent, rules, event.loan_id)


def close_day(account: Account, day: int, rules: AccountRules) -> Account:
    """The account at the end of `day`: days past due grow, old ledger entries fold into sums. Never goes back."""
    return _closed(account.borrower_id, max(account.as_of, day), account.loans, account.recent, rules)


def _closed(
    borrower_id: str,
    as_of: int,
    loans: tuple[Loan, ...],
    recent: tuple[tuple[int, int], ...],
    rules: AccountRules,
    touched: str = "",
) -> Account:
    """The account as of a day. A closed loan is forgotten after the window, but not by the event that tells of it."""
    horizon = as_of - rules.ledger_days
    kept = [
        _watch_status(_fold(loan, horizon, rules), as_of, rules)
        for loan in loans
        if not loan.closed or loan.closed_day >= horizon or loan.loan_id == touched
    ]
    for _, seen in recent:
        if seen < horizon:
            recent = tuple(entry for entry in recent if entry[1] >= horizon)
            break
    return Account(borrower_id, as_of, tuple(kept), recent)


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
    return name in [known for known, _ in account.recent] or name in [loan.opened_by for loan in account.loans]


def _open(event: LoanOpened, known: tuple[Loan, ...], opened: int, name: int) -> Loan:
    terms, profile = event.terms, event.profile
    if any(loan.loan_id == event.loan_id for loan in known):
        raise EventRefusedError("loan_exists", f"loan {event.loan_id} is already open")
    if len(known) >= MAX_LOANS:
        raise EventRefusedError("too_many_loans", f"a borrower holds at most {MAX_LOANS} loans at once")
    wait = (terms.first_due_date - event.occurred_at.date()).days
    if not 0 <= wait <= MAX_DAYS_TO_FIRST_DUE:
        raise EventRefusedError(
            "bad_terms", f"terms.first_due_date: not within {MAX_DAYS_TO_FIRST_DUE} days after the loan was opened"
        )
    if problem := terms_problem(terms):
        raise EventRefusedError("bad_terms", f"terms.emi: {problem}")
    return Loan(
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
        opened_by=name,
    )


def _change(event: ChangeEvent, account: Account, rules: AccountRules, name: int) -> tuple[Loan, ...]:
    at = next((i for i, loan in enumerate(account.loans) if loan.loan_id == event.loan_id), None)
    if at is None:
        raise EventRefusedError("unknown_loan", f"no loan {event.loan_id} is known for this borrower")
    loan = account.loans[at]
    oldest_day = account.as_of - rules.ledger_days
    if event.type == "payment_received":
        changed = _pay(event, loan, oldest_day, name)
    elif event.type == "payment_reversed":
        changed = _reverse(event, loan, oldest_day)
    elif event.type == "emi_missed":
        changed = _check_missed(event, loan)
    else:
        day = event.occurred_at.date().toordinal()
        changed = loan if loan.closed else replace(loan, closed=event.reason, closed_day=day)
    return (*account.loans[:at], changed, *account.loans[at + 1 :])


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
    # The window may be a longer one by now: what was summed up under the shorter one cannot be told apart any more.
    if entry.value_day < max(oldest_day, loan.folded_to, loan.folded_last_paid + 1):
        raise EventRefusedError("too_late", "the payment's value date lies before the ledger window")
    if loan.folded_paid > MAX_FOLDED_MINOR:
        raise EventRefusedError("ledger_full", "the loan's payments add up to more than can be kept")
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


def _fold(loan: Loan, horizon: int, rules: AccountRules) -> Loan:
    """Sum up what lies before the horizon: nothing that still may arrive can change it."""
    numbers = decided(loan, horizon, rules)
    old = [entry for entry in loan.ledger if entry.value_day < horizon]
    if not numbers and not old:
        return loan
    paid = [entry for entry in old if not entry.is_reversed]
    return replace(
        loan,
        ledger=tuple(entry for entry in loan.ledger if entry.value_day >= horizon),
        folded_paid=loan.folded_paid + sum(entry.amount for entry in paid),
        folded_instalments=loan.folded_instalments + len(numbers),
        folded_missed=loan.folded_missed + missed_among(loan, numbers, rules),
        folded_last_paid=max([loan.folded_last_paid, *(entry.value_day for entry in paid)]),
        folded_to=max(loan.folded_to, horizon),
    )


def _watch_status(loan: Loan, as_of: int, rules: AccountRules) -> Loan:
    if loan.closed:
        return loan
    now = standing(loan, as_of)
    status = _status(loan, now, as_of, rules)
    worst = max(loan.worst_dpd, now.days_past_due)
    if status is loan.status and worst == loan.worst_dpd:
        return loan
    since = loan.status_since if status is loan.status else as_of
    return replace(loan, status=status, status_since=since, worst_dpd=worst)


def _status(loan: Loan, standing: Standing, as_of: int, rules: AccountRules) -> LoanStatus:
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
