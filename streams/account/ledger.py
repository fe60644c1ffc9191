"""A loan's ledger: payments and reversals by value date for a window of days, and only sums of what is older.

The window is the loan's own: it ends with the loan's newest event, whatever is told of the borrower's other loans.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from msgspec.structs import replace

from streams.account.billing import absorb, fold_bills
from streams.account.closing import recovered_among
from streams.account.loan import LedgerEntry, Loan, Waiting, digest
from streams.account.rules import MAX_FOLDED_MINOR, MAX_LEDGER, AccountRules
from streams.account.standing import decided, missed_among
from streams.account.status import status_by
from streams.account.terms import fold_changes
from streams.contracts.events import PaymentReceived, PaymentRefunded, PaymentReversed
from streams.contracts.money import to_minor
from streams.contracts.records import Record
from streams.contracts.refusals import EventRefusedError

_MOST_ENTRIES = 4 * MAX_LEDGER
_MOST_WAITING = 16
# Money may be announced that long before it counts.
_MOST_DAYS_AHEAD = 3


def pay(event: PaymentReceived, loan: Loan, name: int, happened: int, oldest_day: int) -> Loan:
    """Money came in."""
    value_day = event.value_date.toordinal()
    _refuse_future(value_day, happened, "value_date")
    if value_day < loan.opened_day:
        opened = date.fromordinal(loan.opened_day)
        raise EventRefusedError("before_opening", f"value_date: before {opened}, on which the loan was opened")
    changed = _enter(loan, LedgerEntry(name, value_day, to_minor(event.amount), False), oldest_day)
    if loan.waiting:
        changed = replace(changed, waiting=tuple(each for each in loan.waiting if each.payment != name))
    return absorb(changed)


def refund(event: PaymentRefunded, loan: Loan, name: int, happened: int, oldest_day: int) -> Loan:
    """Money went back to the borrower: less is paid from its value date on."""
    value_day = event.value_date.toordinal()
    _refuse_future(value_day, happened, "value_date")
    return absorb(_enter(loan, LedgerEntry(name, value_day, -to_minor(event.amount), False), oldest_day))


def reverse(
    event: PaymentReversed,
    loan: Loan,
    others: Sequence[Loan],
    name: int,
    happened: int,
    told_on: int,
    oldest_day: int,
    record: Record | None,
) -> Loan:
    """A payment is taken back. It may overtake its payment: an entry of amount 0 then waits for it.

    `record` is how the event came, so that a reversal which finds no payment can be put aside as it was; it
    waits from the day `told_on`, or from the next tick where that is 0: no day was closed yet.
    """
    value_day, payment = event.payment_value_date.toordinal(), digest(event.payment_event_id)
    _refuse_future(value_day, happened, "payment_value_date")
    for other in others:
        if any(entry.payment == payment and entry.amount for entry in other.ledger):
            raise EventRefusedError("unknown_payment", f"payment_event_id: it was paid on loan {other.loan_id}")
    entry = LedgerEntry(payment, value_day, 0, True, happened)
    changed = _enter(loan, entry, oldest_day)
    if not any(each.payment == payment and each.amount for each in changed.ledger):
        if len(changed.waiting) >= _MOST_WAITING:
            raise EventRefusedError("unknown_payment", f"{_MOST_WAITING} reversals of the loan wait for their payments")
        changed = replace(changed, waiting=(*changed.waiting, _waiting(event, payment, name, told_on, record)))
    return absorb(changed)


def overdue_reversals(loan: Loan, day: int, rules: AccountRules) -> tuple[Waiting, ...]:
    """The reversals that have waited for their payments too long by the close of `day`."""
    return tuple(each for each in loan.waiting if each.told_day and day >= each.told_day + rules.reversal_days)


def without(loan: Loan, given_up: tuple[Waiting, ...], day: int) -> Loan:
    """The loan as if these reversals had never come. The others wait at least from the close of `day` on."""
    payments = {each.payment for each in given_up}
    return replace(
        loan,
        ledger=tuple(entry for entry in loan.ledger if entry.amount or entry.payment not in payments),
        waiting=tuple(
            each if each.told_day else replace(each, told_day=day) for each in loan.waiting if each not in given_up
        ),
    )


def fold(loan: Loan, rules: AccountRules) -> Loan:
    """Sum up what lies before the ledger window, and what it cannot hold: nothing that still may arrive changes it."""
    horizon = loan.told_to - rules.ledger_days
    if len(loan.ledger) > MAX_LEDGER:
        days = sorted(entry.value_day for entry in loan.ledger)
        horizon = max(horizon, min(days[-MAX_LEDGER], loan.last_over + 1))
    loan = fold_changes(loan, horizon)
    numbers = decided(loan, horizon, rules)
    old = [entry for entry in loan.ledger if entry.value_day < horizon]
    if not numbers and not old:
        return loan
    paid = [entry for entry in old if not entry.is_reversed]
    folded = replace(
        loan,
        ledger=tuple(entry for entry in loan.ledger if entry.value_day >= horizon),
        folded_paid=loan.folded_paid + sum(entry.amount for entry in paid),
        folded_recovered=loan.folded_recovered + recovered_among(loan, paid),
        folded_instalments=loan.folded_instalments + len(numbers),
        folded_missed=loan.folded_missed + missed_among(loan, numbers, rules),
        folded_last_paid=max([loan.folded_last_paid, *(entry.value_day for entry in paid if entry.amount > 0)]),
        folded_to=max(loan.folded_to, horizon),
        status_then=status_by(loan, horizon - 1, rules),
    )
    return folded if loan.tenure else fold_bills(folded)


def _refuse_future(value_day: int, happened: int, field: str) -> None:
    if value_day - happened > _MOST_DAYS_AHEAD:
        raise EventRefusedError("future_date", f"{field}: more than {_MOST_DAYS_AHEAD} days after the event")


def _waiting(event: PaymentReversed, payment: int, name: int, told_on: int, record: Record | None) -> Waiting:
    if record is None:
        return Waiting(payment, name, told_on, 0, 0, 0, event.to_json())
    message = record.value or b""
    return Waiting(payment, name, told_on, record.partition, record.offset, record.timestamp_ms, message)


def _enter(loan: Loan, entry: LedgerEntry, oldest_day: int) -> Loan:
    # The window may be a longer one by now: what was summed up under the shorter one cannot be told apart any more.
    if entry.value_day < max(oldest_day, loan.folded_to, loan.folded_last_paid + 1):
        raise EventRefusedError("too_late", "the payment's value date lies before the ledger window")
    if loan.folded_paid > MAX_FOLDED_MINOR:
        raise EventRefusedError("ledger_full", "the loan's payments add up to more than can be kept")
    for at, known in enumerate(loan.ledger):
        if known.payment == entry.payment:
            payment, day = (entry if entry.amount else known), max(known.reversed_day, entry.reversed_day)
            merged = replace(payment, is_reversed=known.is_reversed or entry.is_reversed, reversed_day=day)
            return replace(loan, ledger=(*loan.ledger[:at], merged, *loan.ledger[at + 1 :]))
    if len(loan.ledger) >= _MOST_ENTRIES:
        raise EventRefusedError("ledger_full", f"more than {_MOST_ENTRIES} payments in a day")
    return replace(loan, ledger=(*loan.ledger, entry))
