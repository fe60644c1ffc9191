"""The account rules as settings: what a lender writes becomes what the core counts with."""

from datetime import date

import pytest
from pydantic import ValidationError

from streams.config.settings import Settings


def test_a_tolerance_is_written_in_units_and_percent() -> None:
    rules = Settings.model_validate({"tolerance_amount": "2.50", "tolerance_percent": "0.25"}).rules().account
    assert (rules.tolerance_minor, rules.tolerance_share_e4) == (250, 25)


def test_a_calendar_moves_due_dates_only_where_it_is_asked_for() -> None:
    assert Settings().rules().account.working_days is None
    told = {"due_on_working_days": "next", "weekend": [4, 5], "holidays": ["2025-06-01"]}
    calendar = Settings.model_validate(told).rules().account.working_days
    assert calendar is not None
    # Friday 30 May 2025 is a weekend here, and Sunday a holiday: Monday.
    assert calendar.moved(date(2025, 5, 30).toordinal()) == date(2025, 6, 2).toordinal()


@pytest.mark.parametrize("weekend", [list(range(7)), [7]])
def test_a_week_without_working_days_is_refused(weekend: list[int]) -> None:
    with pytest.raises(ValidationError, match="weekend"):
        Settings.model_validate({"weekend": weekend})
