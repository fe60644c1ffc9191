"""Which records of the changelog count: one rule, applied by every reader.

Who takes over a partition writes a claim into it. Every row says in a header on which claim it stands, by the claim's
offset. A row counts if no other claim stands between that claim and the row. So a worker that was suspended while
another took over can write what it likes: its rows stand behind the other's claim and count for nobody, for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from streams.account.codec import CLOCK_PREFIX

CLAIM_PREFIX = "\x00claim/"
_HEADER = "claim"
_NO_CLAIM = -1
_CLAIM_BYTES, _CLOCK_BYTES = CLAIM_PREFIX.encode(), CLOCK_PREFIX.encode()

Headers = Sequence[tuple[str, bytes]]


class Verdict(Enum):
    """What a record of the changelog is: a row or tombstone that counts, a claim, or nothing to be taken."""

    COUNTS = "counts"
    CLAIM = "claim"
    STALE = "stale"
    FOREIGN = "foreign"


class Claims:
    """Judges the records of a changelog, in the order of each partition; `newest` is the last claim's offset."""

    def __init__(self) -> None:
        self.newest: dict[int, int] = {}

    def judge(self, partition: int, offset: int, key: bytes | None, value: bytes | None, headers: Headers) -> Verdict:
        """Say what a record is, and remember a claim."""
        if key is None:
            return Verdict.FOREIGN
        if key.startswith(_CLAIM_BYTES):
            self.newest[partition] = offset
            return Verdict.CLAIM
        stands_on = claim_of(headers)
        if stands_on is None:
            return Verdict.FOREIGN
        if stands_on == _NO_CLAIM and value is None:
            # Somebody removed the key by hand. Workers never do without a claim.
            return Verdict.COUNTS
        newest = self.newest.get(partition, _NO_CLAIM)
        if newest < stands_on < offset:
            # Compaction may have taken the claim itself, or the reading began behind it.
            self.newest[partition] = stands_on
        return Verdict.COUNTS if stands_on >= newest else Verdict.STALE


def claim_key(partition: int) -> bytes:
    """The key of the claims on a partition."""
    return f"{CLAIM_PREFIX}{partition}".encode()


def standing_on(claim: int) -> tuple[tuple[str, bytes], ...]:
    """The headers of a row that stands on this claim."""
    return ((_HEADER, b"%d" % claim),)


def is_clock(key: bytes) -> bool:
    """Whether a row is a partition's clock."""
    return key.startswith(_CLOCK_BYTES)


def is_borrower(key: bytes) -> bool:
    """Whether a row is a borrower's state."""
    return not key.startswith((_CLOCK_BYTES, _CLAIM_BYTES))


def claim_of(headers: Headers) -> int | None:
    """The claim that a row stands on, none of -1 for rows of before there were claims; None if it is unreadable."""
    for name, value in headers:
        if name == _HEADER:
            return int(value) if value.isdigit() else None
    return _NO_CLAIM
