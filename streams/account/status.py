"""Default status, since when, and the worst days past due, by value date and not by the order of telling.

They follow from where the loan stood when its oldest days were summed up, and from the ledger since. So payments
made in time and told late leave no default behind, and ticks made up after an outage give what they would have given.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from streams.account.holds import day_when, days_late
from streams.account.loan import Loan, StatusThen
from streams.account.obligations import count_of, due_before, due_on, number_due, paid_up
from streams.account.rules import AccountRules
from streams.account.standing import outstanding
from streams.account.terms import versions
from streams.contracts.vocabulary import LoanStatus

_NEVER = 10**9


class _Span(NamedTuple):
    """Days from first to last in which no money came: what was paid, and the oldest obligation that leaves unpaid.

    `lag` is 1 on a day that is not over: what fell due the day before makes nobody late yet.
    """

    first: int
    last: int
    paid: int
    paid_up: int
    oldest: int
    lag: int


def with_status(loan: Loan, rules: AccountRules) -> Loan:
    """The loan with its status as of now; the same object if nothing changes."""
    if loan.closed:
        then = status_by(loan, min(loan.closed_day, loan.as_of), rules)
    else:
        then = status_by(loan, loan.as_of, rules)
    if then.status is loan.status and then.since == loan.status_since and then.worst_dpd == loan.worst_dpd:
        return loan
    return replace(loan, status=then.status, status_since=then.since, worst_dpd=then.worst_dpd)


def with_closed_day(loan: Loan, day: int, rules: AccountRules) -> Loan:
    """The loan at the close of a day, if nothing was told since the last close: its status goes on from there."""
    before = StatusThen(loan.closed_to, loan.status, loan.status_since, loan.worst_dpd)
    then = _status_by(loan, before, day, day, rules)
    return replace(loan, closed_to=day, status=then.status, status_since=then.since, worst_dpd=then.worst_dpd)


def status_by(loan: Loan, until: int, rules: AccountRules) -> StatusThen:
    """The status at the close of `until`, or, on a day that is not over, as far as it can be told."""
    then = loan.status_then or StatusThen(loan.opened_day - 1, LoanStatus.PERFORMING, loan.opened_day, 0)
    if not loan.changes:
        return _status_by(loan, then, until, loan.last_over, rules)
    for version, last in versions(loan, until):
        then = _status_by(version, then, last, loan.last_over, rules)
    return then


def _status_by(loan: Loan, then: StatusThen, until: int, last_over: int, rules: AccountRules) -> StatusThen:
    """The status after `then` under terms that stay as they are; the days after `last_over` are not over."""
    if until <= then.day:
        return then
    first, over = then.day + 1, min(until, last_over)
    paid, later = _payments(loan, first, until)
    for day, amount in later:
        last = min(day - 1, over)
        if first <= last:
            then = _through(loan, then, first, last, paid, 0, rules)
            first = last + 1
        paid += amount
    if first <= over:
        then = _through(loan, then, first, over, paid, 0, rules)
    return _through(loan, then, until, until, paid, 1, rules) if until > over else then


def _payments(loan: Loan, first: int, until: int) -> tuple[int, list[tuple[int, int]]]:
    """What was paid by the first day, and the payments after it in order of their value dates."""
    paid, later = loan.folded_paid, []
    for entry in loan.ledger:
        if entry.is_reversed or entry.value_day > until:
            continue
        if entry.value_day <= first:
            paid += entry.amount
        else:
            later.append((entry.value_day, entry.amount))
    later.sort()
    return paid, later


def _through(
    loan: Loan, then: StatusThen, first: int, last: int, paid: int, lag: int, rules: AccountRules
) -> StatusThen:
    """The status at the end of days in which no money came."""
    up = paid_up(loan, paid, rules)
    oldest = due_on(loan, up + 1, rules) if up < count_of(loan) else _NEVER
    late = days_late(loan, oldest, last) if oldest < last - lag else 0
    worst = max(then.worst_dpd, late)
    status, since = then.status, then.since
    if status is not LoanStatus.PERFORMING or late >= rules.default_dpd:
        status, since = _changes(loan, then, _Span(first, last, paid, up, oldest, lag), rules)
    return StatusThen(last, status, since, worst)


def _changes(loan: Loan, then: StatusThen, span: _Span, rules: AccountRules) -> tuple[LoanStatus, int]:
    """Go from one day on which the status may change to the next."""
    status, since, day = then.status, then.since, span.first
    while day <= span.last:
        changed = _status_on(loan, status, since, day, span, rules)
        if changed is not status:
            status, since = changed, day
        elif status is LoanStatus.DEFAULT:
            # Nothing but money ends it.
            break
        day = _next_day(loan, status, since, day, span, rules)
    return status, since


def _next_day(loan: Loan, status: LoanStatus, since: int, day: int, span: _Span, rules: AccountRules) -> int:
    number = number_due(loan, day - span.lag, rules) + 1
    days = [due_on(loan, number, rules) + 1 + span.lag if number <= count_of(loan) else _NEVER]
    if span.oldest < span.last:
        days.append(day_when(loan, span.oldest, rules.default_dpd))
    if status is LoanStatus.PROBATION:
        days.append(since + rules.probation_days)
    return max(day + 1, min([each for each in days if each > day], default=_NEVER))


def _status_on(loan: Loan, status: LoanStatus, since: int, day: int, span: _Span, rules: AccountRules) -> LoanStatus:
    is_late = span.oldest < day - span.lag
    owed = due_before(loan, day - span.lag, rules).amount - span.paid
    overdue = owed * 100 > rules.materiality_minor * loan.scale
    if is_late and overdue and days_late(loan, span.oldest, day) >= rules.default_dpd:
        share = rules.materiality_percent * outstanding(loan, span.paid_up)
        if owed * 100 > share:
            return LoanStatus.DEFAULT
    if status is LoanStatus.DEFAULT:
        return status if is_late else LoanStatus.PROBATION
    if status is LoanStatus.PROBATION:
        if overdue:
            return LoanStatus.DEFAULT
        is_served = day - since >= rules.probation_days
        return LoanStatus.PERFORMING if is_served and not is_late else status
    return LoanStatus.PERFORMING
