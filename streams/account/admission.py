"""Which records may touch an account at all: sound, dated when they can be, and on the partition of their borrower."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from streams.account.codec import KnownState
from streams.contracts.events import AccountEvent, Event, InvalidEventError, decode_event
from streams.contracts.records import Record, is_plausible
from streams.contracts.refusals import EventRefusedError

_FUTURE_TOLERANCE_DAYS = 1
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MS_A_DAY = 86_400_000

Placement = Callable[[bytes], int]
"""The partition on which a key belongs."""


def admit(record: Record, closed_day: int, days_ahead: int | None) -> Event:
    """The event of a record; `closed_day` is the last business day that was closed on its partition before it.

    Raises `InvalidEventError` or `EventRefusedError`.
    """
    if record.unreadable:
        raise EventRefusedError(*record.unreadable)
    if not is_plausible(record.timestamp_ms):
        raise EventRefusedError(
            "bad_timestamp", f"Kafka's time stamp: {record.timestamp_ms} is not in milliseconds since 1970"
        )
    if record.value is None:
        raise InvalidEventError("message: empty value")
    event = decode_event(record.value)
    _check_date(event, record, closed_day, days_ahead)
    # Told by the type's name: isinstance on these models costs more than the rest of this function.
    if event.type == "day_closed":
        if event.partition != record.partition:
            raise EventRefusedError("wrong_partition", f"partition: the tick stands on partition {record.partition}")
    elif record.key != event.borrower_id.encode():
        raise EventRefusedError("key_mismatch", "the message key is not the event's borrower_id")
    return event


def _check_date(event: Event, record: Record, closed_day: int, days_ahead: int | None) -> None:
    published = _EPOCH_DAY + record.timestamp_ms // _MS_A_DAY
    latest = max(published, closed_day + 1) + _FUTURE_TOLERANCE_DAYS
    if days_ahead is not None:
        # Each tick may move the calendar on, so without a bound a producer can walk it into the years to come.
        latest = min(latest, published + days_ahead)
    claimed = event.business_date if event.type == "day_closed" else event.occurred_at.date()
    if claimed.toordinal() > latest:
        name = "business_date" if event.type == "day_closed" else "occurred_at"
        raise EventRefusedError("future_date", f"{name}: later than {date.fromordinal(latest).isoformat()}")


def check_partition(event: AccountEvent, record: Record, known: KnownState | None, place: Placement | None) -> None:
    """Refuse an event that stands on another partition than its borrower's other events.

    Offsets of two partitions cannot be compared, and another worker may own the borrower's row.
    """
    if known is not None:
        belongs = known.partition
    elif place is not None:
        belongs = place(event.borrower_id.encode())
    else:
        return
    if belongs != record.partition:
        raise EventRefusedError(
            "wrong_partition", f"the event stands on partition {record.partition}, its borrower belongs on {belongs}"
        )
