"""What all contracts are made of."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError

from streams.contracts.base import Amount, BusinessDate, Identifier, OpenAmount, Utc

UTC_TIME: TypeAdapter[datetime] = TypeAdapter(Utc)


def test_times_are_told_in_utc() -> None:
    assert UTC_TIME.validate_python("2025-01-01T01:00:00+02:00") == datetime(2024, 12, 31, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment", ["2025-01-01T00:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1899-12-31T23:59:59Z"]
)
def test_a_time_without_a_zone_or_outside_the_years_is_refused(moment: str) -> None:
    with pytest.raises(ValidationError):
        UTC_TIME.validate_python(moment)


@pytest.mark.parametrize(("day", "is_one"), [("1899-12-31", False), ("1900-01-01", True), ("3000-01-01", False)])
def test_business_days_lie_in_the_years_of_loans(day: str, is_one: bool) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(BusinessDate)
    if is_one:
        assert adapter.validate_python(day)
        return
    with pytest.raises(ValidationError):
        adapter.validate_python(day)


def test_only_what_riskmon_sums_up_may_have_more_than_14_digits() -> None:
    bounded: TypeAdapter[Decimal] = TypeAdapter(Amount)
    unbounded: TypeAdapter[Decimal] = TypeAdapter(OpenAmount)
    assert unbounded.validate_python("1000000000000.00") == Decimal(10**12)
    with pytest.raises(ValidationError, match="12 digits"):
        bounded.validate_python("1000000000000.00")


@pytest.mark.parametrize("name", ["", "a b", "a" * 65, "ä", "a\n"])
def test_an_identifier_is_printable_ascii_without_spaces(name: str) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(Identifier)
    with pytest.raises(ValidationError):
        adapter.validate_python(name)
