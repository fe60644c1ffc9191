"""Which records may touch an account: their time stamp, their date, their key, their partition."""

import pytest

from streams.account.admission import admit, check_partition
from streams.account.codec import KnownState
from streams.account.decision_state import DecisionState
from streams.account.loan import Account
from streams.contracts.events import InvalidEventError
from streams.contracts.records import Record
from streams.contracts.refusals import EventRefusedError
from tests.support.engine import stamp
from tests.support.factories import day, opened, payment, tick


def told(event: object, published: int, key: bytes | None = b"B1") -> Record:
    return Record(0, 0, key, event.to_json(), stamp(day(published)))  # type: ignore[attr-defined]


def closed_on(offset: int) -> int:
    return day(offset).toordinal()


@pytest.mark.parametrize(
    ("business_day", "published", "closed_before", "days_ahead", "fits"),
    [
        (10, 10, 9, 2, True),
        (11, 10, 9, 2, True),
        (12, 10, 9, 2, False),
        (12, 10, 10, 2, True),
        (13, 10, 11, 2, False),
        (13, 10, 11, None, True),
        (14, 10, 11, None, False),
        (400, 10, 399, 2, False),
        (400, 10, 399, None, True),
        (3, 10, 9, 2, True),
        (400, 9, 399, 366, False),
    ],
)
def test_a_day_is_judged_by_kafkas_time_and_the_calendar(
    business_day: int, published: int, closed_before: int, days_ahead: int | None, fits: bool
) -> None:
    for record in (told(tick(business_day), published, None), told(payment(business_day), published)):
        if fits:
            assert admit(record, closed_on(closed_before), days_ahead)
            continue
        with pytest.raises(EventRefusedError, match="later than") as refusal:
            admit(record, closed_on(closed_before), days_ahead)
        assert refusal.value.reason == "future_date"


def test_an_empty_message_and_a_foreign_key_are_refused() -> None:
    with pytest.raises(InvalidEventError, match="empty"):
        admit(Record(0, 0, b"B1", None, stamp(day(1))), 0, 2)
    with pytest.raises(EventRefusedError) as refusal:
        admit(told(payment(1), 1, b"B2"), 0, 2)
    assert refusal.value.reason == "key_mismatch"


def test_a_tick_of_another_partition_is_refused() -> None:
    with pytest.raises(EventRefusedError) as refusal:
        admit(told(tick(1, partition=3), 1, None), 0, 2)
    assert refusal.value.reason == "wrong_partition"


@pytest.mark.parametrize(
    ("known_on", "placed_on", "fits"),
    [
        (None, None, True),
        (None, 0, True),
        (None, 1, False),
        (0, 0, True),
        (1, None, False),
        (1, 0, False),
        (0, 1, True),
    ],
)
def test_an_event_belongs_where_its_borrower_is(known_on: int | None, placed_on: int | None, fits: bool) -> None:
    known = None if known_on is None else KnownState(Account("B1", 1), DecisionState(), known_on, 5)
    place = None if placed_on is None else lambda _: placed_on
    record = told(opened(), 1)
    if fits:
        check_partition(opened(), record, known, place)
        return
    with pytest.raises(EventRefusedError, match="belongs on 1") as refusal:
        check_partition(opened(), record, known, place)
    assert refusal.value.reason == "wrong_partition"
