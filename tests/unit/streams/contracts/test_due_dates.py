"""Due dates by the calendar."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from streams.contracts.due_dates import due_day, instalments_due_before


def test_the_31st_is_the_months_last_day_and_comes_back() -> None:
    first = date(2027, 10, 31).toordinal()
    told = [date.fromordinal(due_day(first, number)).isoformat() for number in range(1, 7)]
    assert told == ["2027-10-31", "2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31"]


@given(st.dates(date(1900, 1, 1), date(2999, 12, 31)), st.integers(1, 480), st.integers(-50, 20_000))
def test_counting_instalments_is_counting_due_days(first: date, tenure: int, after: int) -> None:
    start = first.toordinal()
    day = start + after
    number = instalments_due_before(start, tenure, day)
    assert 0 <= number <= tenure
    assert number == 0 or due_day(start, number) < day
    assert number == tenure or due_day(start, number + 1) >= day
