"""Schedules as events tell them: what adds up becomes runs, the rest is refused with the field named."""

from __future__ import annotations

from streams.account.loan import Run
from streams.account.obligations import last_day
from streams.account.rules import MAX_OBLIGATIONS
from streams.contracts.base import LAST_DAY
from streams.contracts.events import ScheduleRun, total_problem
from streams.contracts.money import to_minor
from streams.contracts.refusals import EventRefusedError


def runs_of(schedule: list[ScheduleRun], field: str) -> tuple[Run, ...]:
    """A schedule as it is kept. Raises `EventRefusedError` where its runs are not in the order of their due dates."""
    runs: list[Run] = []
    for at, each in enumerate(schedule):
        first, name = each.first_due_date.toordinal(), f"{field}.{at}"
        if runs and first <= last_day(runs[-1]):
            raise EventRefusedError("bad_terms", f"{name}.first_due_date: not after the run before it")
        if each.unit == "days":
            run = Run(first, each.count, to_minor(each.amount), 0, each.every)
            is_long = last_day(run) > LAST_DAY.toordinal()
        else:
            run = Run(first, each.count, to_minor(each.amount), each.every)
            is_long = each.first_due_date.year + each.count * each.every // 12 > LAST_DAY.year
        if is_long:
            raise EventRefusedError("bad_terms", f"{name}.count: the run ends after {LAST_DAY.isoformat()}")
        runs.append(run)
    if sum(run.count for run in runs) > MAX_OBLIGATIONS:
        raise EventRefusedError("bad_terms", f"{field}: more than {MAX_OBLIGATIONS} instalments")
    return tuple(runs)


def check_total(total: int, principal: int, field: str) -> None:
    """Refuse more than a contract's amounts can hold, or than anybody would lend on."""
    if problem := total_problem(total, principal):
        raise EventRefusedError("bad_terms", f"{field}: {problem}")
