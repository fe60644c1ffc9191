"""Kafka's time stamps: what is one, and that any of them can be told."""

from datetime import UTC, datetime

import pytest

from streams.contracts.records import is_plausible, time_of


@pytest.mark.parametrize(
    ("timestamp_ms", "is_one"),
    [(0, True), (1_780_000_000_123, True), (-1, False), (1_780_000_000_000_000, False), (2**63 - 1, False)],
)
def test_only_milliseconds_are_plausible(timestamp_ms: int, is_one: bool) -> None:
    assert is_plausible(timestamp_ms) is is_one


def test_every_time_stamp_is_some_time() -> None:
    assert time_of(1_780_000_000_123) == datetime(2026, 5, 28, 20, 26, 40, 123_000, tzinfo=UTC)
    assert time_of(-(2**63)) == datetime(1970, 1, 1, tzinfo=UTC)
    assert time_of(2**63 - 1).year == 2999
