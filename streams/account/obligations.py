"""What falls due, and when: an annuity's instalments, runs of a schedule, bills; pure and in O(runs), never O(rows).

An obligation has a number, from 1 in the order of due dates. Amounts are integer minor units, days are ordinals.
A payment pays the oldest obligation first, so how many are paid follows from the sum of what was paid.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.account.loan import Loan, Run
from streams.account.rules import AccountRules
from streams.account.tolerance import tolerance
from streams.account.working_days import WorkingDays
from streams.contracts.due_dates import due_day, instalments_due_before


class Due(NamedTuple):
    """The first so many obligations, and what they come to."""

    number: int
    amount: int


def due_before(loan: Loan, day: int, rules: AccountRules) -> Due:
    """The obligations that have a due day before `day`."""
    if loan.runs:
        count, amount = loan.billed_count, loan.billed_amount
        for run in loan.runs:
            number = _number_before(run, day, rules.working_days)
            count += number
            if number:
                amount += number * run.amount + run.credit
            if number < run.count:
                break
        return Due(count, amount)
    count = number_due(loan, day, rules)
    amount = count * loan.emi
    return Due(count, amount - loan.last_less if count == loan.tenure else amount)


def number_due(loan: Loan, day: int, rules: AccountRules) -> int:
    """How many obligations have a due day before `day`."""
    if loan.runs:
        return due_before(loan, day, rules).number
    if rules.working_days is None:
        return instalments_due_before(loan.first_due, loan.tenure, day)
    return _number_before(_annuity(loan), day, rules.working_days)


def due_on(loan: Loan, number: int, rules: AccountRules) -> int:
    """The due day of obligation `number`; of the last one for numbers beyond it, of the first kept one before it."""
    calendar = rules.working_days
    if not loan.runs:
        day = due_day(loan.first_due, number)
        return day if calendar is None else calendar.moved(day)
    left = max(number - loan.billed_count, 1)
    for run in loan.runs:
        if left <= run.count:
            break
        left -= run.count
    else:
        left = run.count
    day = run_day(run, left)
    return day if calendar is None else calendar.moved(day)


def total_of(loan: Loan, number: int) -> int:
    """What the first `number` obligations come to."""
    if not loan.runs:
        return number * loan.emi - (loan.last_less if number == loan.tenure else 0)
    amount, left = loan.billed_amount, number - loan.billed_count
    for run in loan.runs:
        taken = min(left, run.count)
        if taken <= 0:
            break
        amount += taken * run.amount + run.credit
        left -= taken
    return amount


def count_of(loan: Loan) -> int:
    """How many obligations the loan has, as far as they are known."""
    if not loan.runs:
        return loan.tenure
    return loan.billed_count + sum(run.count for run in loan.runs)


def paid_up(loan: Loan, paid: int, rules: AccountRules) -> int:
    """How many obligations, oldest first, are paid by a sum, but for the tolerance."""
    if loan.runs:
        return _paid_up(loan, paid, rules)
    if not loan.tenure:
        return 0
    emi, tenure = loan.emi, loan.tenure
    enough = paid + tolerance(emi, rules, loan.scale)
    count = enough // emi
    if count < tenure - 1:
        return count if count > 0 else 0
    return tenure if enough >= tenure * emi - loan.last_less else tenure - 1


def is_paid(loan: Loan, number: int, paid: int, rules: AccountRules) -> bool:
    """Whether a sum pays obligation `number` and all before it, but for the tolerance."""
    return number <= paid_up(loan, paid, rules)


def run_day(run: Run, number: int) -> int:
    """The day on which the schedule puts obligation `number` (from 1) of a run, before it moves to a working day."""
    steps = run.skipped + number - 1
    if run.days:
        return run.first_due + steps * run.days
    return due_day(run.first_due, steps * run.months + 1)


def last_day(run: Run) -> int:
    """The day of a run's last obligation."""
    return run_day(run, run.count)


def monthly_amount(run: Run) -> int:
    """What a month of a run comes to: its obligations of a year by twelve, as burden on a monthly income is told."""
    if run.count == 1:
        return run.amount
    return round(run.amount * 30.4375 / run.days) if run.days else round(run.amount / run.months)


def _annuity(loan: Loan) -> Run:
    return Run(loan.first_due, loan.tenure, loan.emi)


def _paid_up(loan: Loan, paid: int, rules: AccountRules) -> int:
    number, before = loan.billed_count, loan.billed_amount
    for run in loan.runs:
        before += run.credit
        rest = paid + tolerance(run.amount, rules, loan.scale) - before
        # What a re-ageing took over asks for nothing any more.
        fits = rest // run.amount if run.amount else run.count if rest >= 0 else 0
        if fits < run.count:
            return number + max(fits, 0)
        number += run.count
        before += run.count * run.amount
    return number


def _number_before(run: Run, day: int, calendar: WorkingDays | None) -> int:
    if calendar is None:
        return planned_before(run, day)
    # Moving keeps the order of due dates, so only those near the day can have crossed it.
    number = planned_before(run, day + calendar.reach)
    while number > 0 and calendar.moved(run_day(run, number)) >= day:
        number -= 1
    return number


def planned_before(run: Run, day: int) -> int:
    """How many of a run's obligations the schedule puts before `day`."""
    if day <= run.first_due:
        return 0
    if run.days:
        number = (day - 1 - run.first_due) // run.days + 1
    else:
        months = instalments_due_before(run.first_due, (run.count + run.skipped) * run.months, day)
        number = (months + run.months - 1) // run.months
    return min(max(number - run.skipped, 0), run.count)
