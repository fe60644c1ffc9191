"""A message as Kafka delivers it, and one that was refused."""

from __future__ import annotations

from typing import NamedTuple

from streams.contracts.refusals import RefusalReason


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
