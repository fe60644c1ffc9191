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

from streams.account import ledger
from streams.account.billing import bill
from streams.account.closing import CHARGED_OFF, REOPENED, WRITTEN_OFF, derive_end, note
from streams.account.holds import change_days, held_days, lift, place, without_old
from streams.account.loan import Account, Loan, Waiting, digest
from streams.account.obligations import count_of, due_on, number_due, paid_up
from streams.account.opening import open_loan
from streams.account.payments import paid_by
from streams.account.rules import MAX_CLOSED_LOANS, MAX_LOANS, MAX_REMEMBERED, AccountRules
from streams.account.status import with_closed_day, with_status
from streams.account.terms import change, derive_terms, take_back
from streams.contracts.events import AccountEvent, ChangeEvent, EmiMissed, HoldEvent, LoanOpened
from streams.contracts.records import Record
from streams.contracts.refusals import EventRefusedError
from streams.contracts.vocabulary import LoanStatus


def apply(
    event: AccountEvent,
    account: Account | None,
    rules: AccountRules,
    closed_day: int = 0,
    record: Record | None = None,
) -> Account:
    """The account after one event; the same object when the event is a duplicate.

    `closed_day` is the last business day that was closed before the event, `record` how it came. Raises
    `EventRefusedError` for an unknown loan, an instalment the terms do not have, a value date older than the ledger
    window, and whatever else would make the account untrue.
    """
    name = digest(event.event_id)
    if account is not None and _is_known(name, account):
        return account
    happened = rules.business_day(event.occurred_at)
    if event.type == "loan_opened":
        before = _open(event, account, happened, name)
    elif account is None:
        raise EventRefusedError("unknown_loan", f"no loan {event.loan_id} is known for this borrower")
    elif event.type == "hold_placed":
        before = _with_holds(place(event, account, _oldest_day(event, account, rules)), rules)
    elif event.type == "hold_lifted":
        before = _with_holds(lift(event, account, _oldest_day(event, account, rules)), rules)
    else:
        told_on = max(happened, closed_day) if closed_day else 0
        before = replace(account, loans=_change(event, account, rules, name, happened, told_on, record))
    as_of = max(before.as_of, happened)
    # What is told of all loans is no news of one.
    of_loan = "" if event.type in ("hold_placed", "hold_lifted") else event.loan_id or ""
    loans = tuple(_brought_on(loan, of_loan, happened, closed_day, rules) for loan in before.loans)
    recent = ((name, as_of), *before.recent)[:MAX_REMEMBERED]
    after = Account(before.borrower_id, as_of, loans, recent, before.ended, before.holds)
    return _tidied(after, rules, of_loan)


def close_day(account: Account, day: int, rules: AccountRules) -> Account:
    """The account at the end of `day`: days past due grow, reversals without payment are given up. Never goes back."""
    recent = account.recent
    given_up = overdue_reversals(account, day, rules)
    if given_up:
        # So that they can be told again once their payments are there.
        names = {each.event for each in given_up}
        recent = tuple(entry for entry in recent if entry[0] not in names)
    loans = tuple(_closed_for(loan, day, rules) for loan in account.loans)
    closed = Account(account.borrower_id, max(account.as_of, day), loans, recent, account.ended, account.holds)
    return _tidied(closed, rules)


def overdue_reversals(account: Account, day: int, rules: AccountRules) -> list[Waiting]:
    """The reversals whose payments have not come by the close of `day`; `close_day` gives them up."""
    return [each for loan in account.loans if loan.waiting for each in ledger.overdue_reversals(loan, day, rules)]


def _brought_on(loan: Loan, told_of: str, happened: int, closed_day: int, rules: AccountRules) -> Loan:
    """The loan on the day of an event, or of the newest tick if one was closed for it before.

    A loan for which no day was closed yet may be one whose history is just being loaded.
    """
    told_to = max(loan.told_to, happened) if loan.loan_id == told_of else loan.told_to
    closed_to = max(loan.closed_to, closed_day) if loan.closed_to else 0
    if told_to != loan.told_to or closed_to != loan.closed_to:
        loan = replace(loan, told_to=told_to, closed_to=closed_to)
    elif loan.loan_id != told_of:
        return loan
    return _derived(loan, rules)


def _closed_for(loan: Loan, day: int, rules: AccountRules) -> Loan:
    if loan.waiting:
        loan = ledger.without(loan, ledger.overdue_reversals(loan, day, rules), day)
    if day <= loan.closed_to:
        return _derived(loan, rules)
    if loan.closed_to < loan.told_to or loan.changes or loan.waiting or loan.closed:
        return _derived(replace(loan, closed_to=day), rules)
    return with_closed_day(loan, day, rules)


def _derived(loan: Loan, rules: AccountRules) -> Loan:
    folded = ledger.fold(loan, rules)
    return with_status(derive_end(derive_terms(folded) if folded.changes else folded, rules), rules)


def _tidied(account: Account, rules: AccountRules, touched: str = "") -> Account:
    """The account without what is too old. A closed loan is forgotten in time, not by the event that tells of it."""
    horizon = account.as_of - rules.ledger_days
    is_old = account.recent and account.recent[-1][1] < horizon
    if not is_old and not account.holds and not any(loan.closed for loan in account.loans):
        return account
    kept = tuple(loan for loan in account.loans if not _is_forgotten(loan, account.as_of, rules, touched))
    closed = sorted(loan.closed_day for loan in kept if loan.closed)
    if len(closed) > MAX_CLOSED_LOANS:
        oldest = closed[-MAX_CLOSED_LOANS]
        kept = tuple(loan for loan in kept if not loan.closed or loan.closed_day >= oldest or loan.loan_id == touched)
    ended = account.ended
    if len(kept) < len(account.loans):
        gone = tuple(loan.opened_by for loan in account.loans if loan not in kept)
        ended = (*gone, *ended)[:MAX_REMEMBERED]
    recent = account.recent
    if is_old:
        recent = tuple(entry for entry in recent if entry[1] >= horizon)
    tidied = Account(account.borrower_id, account.as_of, kept, recent, ended, account.holds)
    return without_old(tidied, rules, _oldest_unpaid(tidied, rules)) if account.holds else tidied


def _oldest_unpaid(account: Account, rules: AccountRules) -> int:
    days = [account.as_of]
    for loan in account.loans:
        up = paid_up(loan, paid_by(loan, loan.as_of), rules)
        if not loan.closed and up < count_of(loan):
            days.append(due_on(loan, up + 1, rules))
    return min(days)


def _is_forgotten(loan: Loan, as_of: int, rules: AccountRules, touched: str) -> bool:
    if not loan.closed or loan.loan_id == touched:
        return False
    days = max(rules.ledger_days, rules.recovery_days) if loan.closed == WRITTEN_OFF else rules.ledger_days
    return loan.closed_day < as_of - days


def next_wake(account: Account, rules: AccountRules, label_days: int) -> int:
    """The first later day whose close changes something for this account, or 0 if none will.

    While anything is past due that is every day; else the day after the next unpaid instalment's due date,
    the day a prediction's outcome is known (`label_days` after a due date), or the end of a probation.
    """
    days: list[int] = []
    for loan in account.loans:
        if loan.waiting:
            days.extend(_giving_up_days(loan, rules))
        if not loan.closed:
            days.extend(_wake_days(loan, rules, label_days))
    if account.holds:
        days.extend(change_days(account))
    return min(days, default=0)


def _giving_up_days(loan: Loan, rules: AccountRules) -> list[int]:
    """When reversals without a payment are given up; one that no day was closed for yet waits from the next close."""
    first = loan.last_over + 1
    return [max(each.told_day + rules.reversal_days, first) if each.told_day else first for each in loan.waiting]


def _wake_days(loan: Loan, rules: AccountRules, label_days: int) -> list[int]:
    as_of, over, days = loan.as_of, loan.last_over, []
    count, paid = count_of(loan), paid_up(loan, paid_by(loan, as_of), rules)
    if paid < count:
        oldest = due_on(loan, paid + 1, rules)
        # The close of a running day changes nothing for who was late before it.
        days.append(max(oldest, as_of if oldest < over else over) + 1)
    matured = number_due(loan, over - label_days + 1, rules)
    if matured < count:
        days.append(due_on(loan, matured + 1, rules) + label_days)
    for entry in loan.ledger:
        if entry.value_day > as_of:
            days.append(entry.value_day)
    if loan.status is LoanStatus.PROBATION:
        days.append(max(loan.status_since + rules.probation_days, over + 1))
    return days


def _is_known(name: int, account: Account) -> bool:
    # A loan remembers its own opening for as long as it lives, and the account longer; other ids fall out in time.
    return (
        name in [known for known, _ in account.recent]
        or name in [loan.opened_by for loan in account.loans]
        or name in account.ended
    )


def _open(event: LoanOpened, account: Account | None, opened: int, name: int) -> Account:
    if account is None:
        return Account(event.borrower_id, opened, (open_loan(event, opened, name),))
    if any(loan.loan_id == event.loan_id for loan in account.loans):
        raise EventRefusedError("loan_exists", f"loan {event.loan_id} is already open")
    if sum(1 for loan in account.loans if not loan.closed) >= MAX_LOANS:
        raise EventRefusedError("too_many_loans", f"a borrower holds at most {MAX_LOANS} loans at once")
    loan = open_loan(event, opened, name)
    if account.holds:
        loan = replace(loan, held=held_days(account, loan.loan_id))
    return replace(account, loans=(*account.loans, loan))


def _oldest_day(event: HoldEvent, account: Account, rules: AccountRules) -> int:
    """The first day of the ledger window of what a hold is about."""
    of_it = [loan.told_to for loan in account.loans if event.loan_id in (None, loan.loan_id)]
    if not of_it:
        raise EventRefusedError("unknown_loan", f"no loan {event.loan_id} is known for this borrower")
    return max(of_it) - rules.ledger_days


def _with_holds(account: Account, rules: AccountRules) -> Account:
    """The account with the days that its holds hold in each loan."""
    loans = [(loan, held_days(account, loan.loan_id)) for loan in account.loans]
    changed = [loan if held == loan.held else _derived(replace(loan, held=held), rules) for loan, held in loans]
    return replace(account, loans=tuple(changed))


def _change(
    event: ChangeEvent,
    account: Account,
    rules: AccountRules,
    name: int,
    happened: int,
    told_on: int,
    record: Record | None,
) -> tuple[Loan, ...]:
    at = next((i for i, loan in enumerate(account.loans) if loan.loan_id == event.loan_id), None)
    if at is None:
        raise EventRefusedError("unknown_loan", f"no loan {event.loan_id} is known for this borrower")
    loan, others = account.loans[at], (*account.loans[:at], *account.loans[at + 1 :])
    oldest_day = max(loan.told_to, happened) - rules.ledger_days
    if event.type == "payment_received":
        changed = ledger.pay(event, loan, name, happened, oldest_day)
    elif event.type == "payment_reversed":
        changed = ledger.reverse(event, loan, others, name, happened, told_on, oldest_day, record)
    elif event.type == "emi_missed":
        changed = _check_missed(event, loan, rules)
    elif event.type == "instalment_billed":
        changed = bill(event, loan, happened, oldest_day, rules)
    elif event.type == "terms_changed":
        changed = change(event, loan, name, happened, oldest_day)
    elif event.type == "terms_change_reversed":
        changed = take_back(event, loan, oldest_day)
    elif event.type == "payment_refunded":
        changed = ledger.refund(event, loan, name, happened, oldest_day)
    else:
        kinds = {"loan_reopened": REOPENED, "loan_charged_off": CHARGED_OFF}
        changed = note(loan, kinds.get(event.type, event.reason), happened, event.occurred_at, name)
    return (*account.loans[:at], changed, *account.loans[at + 1 :])


def _check_missed(event: EmiMissed, loan: Loan, rules: AccountRules) -> Loan:
    # The count itself comes from the ledger: a payment that arrives late but was made in time must undo it.
    if not loan.tenure:
        return _check_bill(event, loan)
    if event.instalment_number > count_of(loan):
        raise EventRefusedError("unknown_instalment", f"instalment_number: the loan has {count_of(loan)} instalments")
    due = date.fromordinal(due_on(loan, event.instalment_number, rules))
    if event.due_date != due:
        raise EventRefusedError("unknown_instalment", f"due_date: instalment is due on {due.isoformat()}")
    return loan


def _check_bill(event: EmiMissed, loan: Loan) -> Loan:
    billed = next((run for run in loan.runs if run.number == event.instalment_number), None)
    # The oldest bills are only known as a sum.
    if billed is None and not loan.billed_count:
        raise EventRefusedError("unknown_instalment", "instalment_number: the loan has no such bill")
    if billed is not None and billed.first_due != event.due_date.toordinal():
        due = date.fromordinal(billed.first_due)
        raise EventRefusedError("unknown_instalment", f"due_date: the bill is due on {due.isoformat()}")
    return loan
