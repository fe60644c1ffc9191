"""Due dates. Days are proleptic Gregorian ordinals (`date.toordinal`)."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from functools import lru_cache


@lru_cache(maxsize=262_144)
def due_day(first_due: int, number: int) -> int:
    """The due day of instalment `number` (from 1): that many months after the first, clamped to the month's end."""
    first = date.fromordinal(first_due)
    months = first.month - 1 + number - 1
    year, month = first.year + months // 12, months % 12 + 1
    return date(year, month, min(first.day, monthrange(year, month)[1])).toordinal()


def instalments_due_before(first_due: int, tenure: int, day: int) -> int:
    """How many instalments have a due day before `day`, from 0 to `tenure`."""
    return min(_due_days_before(first_due, day), tenure)


@lru_cache(maxsize=262_144)
def _due_days_before(first_due: int, day: int) -> int:
    if day <= first_due:
        return 0
    first, until = date.fromordinal(first_due), date.fromordinal(day)
    months = (until.year - first.year) * 12 + until.month - first.month
    # Instalment months + 1 is the one of until's own month; it counts only if its day has passed.
    return months + (due_day(first_due, months + 1) < day)
