"""Due dates that fall on a day on which no bank works, and where they move. Days are ordinals (`date.toordinal`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

Convention = Literal["previous", "next", "same_month"]
"""Where a due date moves: to the working day before it, after it, or after it unless that lies in the next month."""

MOST_DAYS_MOVED = 31


@dataclass(frozen=True)
class WorkingDays:
    """The lender's calendar: days of the week (Monday is 0) and holidays on which nothing can be paid.

    Raises `ValueError` where no working day would be near.
    """

    convention: Convention
    weekend: frozenset[int] = frozenset((5, 6))
    holidays: frozenset[int] = frozenset()
    reach: int = field(init=False)
    """No due date moves farther than this many days."""

    def __post_init__(self) -> None:
        free = {day + step for day in self.holidays for step in range(-7, 8)} | set(range(1, 8))
        object.__setattr__(self, "reach", max(self._stretch(day) for day in free))

    def is_working(self, day: int) -> bool:
        """Whether money can be paid on that day."""
        return (day - 1) % 7 not in self.weekend and day not in self.holidays

    def moved(self, day: int) -> int:
        """The working day on which something falls due that the schedule puts on `day`."""
        if self.is_working(day):
            return day
        if self.convention == "previous":
            return self._nearest(day, -1)
        later = self._nearest(day, 1)
        if self.convention == "same_month" and date.fromordinal(later).month != date.fromordinal(day).month:
            return self._nearest(day, -1)
        return later

    def _nearest(self, day: int, step: int) -> int:
        while not self.is_working(day):
            day += step
        return day

    def _stretch(self, day: int) -> int:
        """How many days from here to the next working day, on the side where it is farther."""
        for farthest in range(MOST_DAYS_MOVED + 1):
            if self.is_working(day + farthest):
                break
        else:
            raise ValueError(f"holidays: no working day within {MOST_DAYS_MOVED} days after {day}")
        for back in range(MOST_DAYS_MOVED + 1):
            if self.is_working(day - back):
                return max(farthest, back)
        raise ValueError(f"holidays: no working day within {MOST_DAYS_MOVED} days before {day}")
