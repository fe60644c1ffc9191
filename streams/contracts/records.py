"""A message as Kafka delivers it, one that was refused, and Kafka's time stamps as times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from streams.contracts.refusals import RefusalReason

_END_MS = round(datetime(3000, 1, 1, tzinfo=UTC).timestamp() * 1000)


def is_plausible(timestamp_ms: int) -> bool:
    """Whether this can be milliseconds since 1970: microseconds lie far ahead, and a missing time stamp is -1."""
    return 0 <= timestamp_ms < _END_MS


def time_of(timestamp_ms: int) -> datetime:
    """Kafka's time stamp as a time. Never raises: what is not plausible reads as the nearer end, 1970 or 2999."""
    return datetime.fromtimestamp(min(max(timestamp_ms, 0), _END_MS - 1) / 1000, UTC)


class Unreadable(NamedTuple):
    """Why a record that stands on Kafka cannot be had."""

    reason: RefusalReason
    detail: str


class Record(NamedTuple):
    """A message as it came from Kafka; `timestamp_ms` is Kafka's, milliseconds since 1970 UTC.

    One that is `unreadable` has neither key nor value: its batch could not be opened.
    """

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    unreadable: Unreadable | None = None


class DeadLetter(NamedTuple):
    """A record that cannot be processed, and why: a short code for counting, a sentence for people."""

    record: Record
    reason: RefusalReason
    detail: str
