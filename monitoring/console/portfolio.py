"""The portfolio as the account table's rows tell it: counts, and where each borrower's newest row stands."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import msgspec

from monitoring.console.series import Series
from streams.account.codec import BorrowerState, PartitionClock
from streams.contracts.money import MINOR_UNITS
from streams.contracts.vocabulary import BUCKETS, CLOSED, Strategy

OPEN_BUCKETS = tuple(bucket for bucket in BUCKETS if bucket != CLOSED)
OPEN_STRATEGIES = (Strategy.REMINDER, Strategy.SETTLEMENT, Strategy.RECOVERY)
_CELLS = [(bucket, strategy) for bucket in BUCKETS for strategy in Strategy]


class Place(msgspec.Struct, gc=False):
    """Where a borrower's newest row stands in the changelog, how far it has gone, and what it adds to the counts."""

    partition: int
    offset: int
    applied_offset: int
    cell: int
    arrears: int


class Portfolio:
    """Counts by bucket and strategy of at most `most` borrowers, now and over time."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.is_full = False
        self.counts: Counter[tuple[str, Strategy]] = Counter()
        self.arrears_minor = 0
        self.series = Series(("time", *(each.value for each in OPEN_STRATEGIES), *OPEN_BUCKETS, "arrears"))
        self._places: dict[str, Place] = {}
        self._clocks: dict[int, int] = {}

    def take_state(self, state: BorrowerState, offset: int) -> None:
        """A row that stands at this offset of the changelog; one that was overtaken changes nothing."""
        borrower_id, decision = state.account.borrower_id, state.decision
        known = self._places.get(borrower_id)
        if known is None and len(self._places) >= self.most:
            self.is_full = True
            return
        if known is not None:
            if state.applied_offset < known.applied_offset:
                return
            self._count(known, -1)
        bucket = decision.bucket
        cell = _CELLS.index((bucket, decision.strategy))
        place = Place(state.partition, offset, state.applied_offset, cell, decision.arrears)
        self._places[borrower_id] = place
        self._count(place, 1)

    def remove(self, borrower_id: str) -> None:
        """A borrower was forgotten."""
        known = self._places.pop(borrower_id, None)
        if known is not None:
            self._count(known, -1)

    def take_clock(self, clock: PartitionClock) -> None:
        """A partition closed its business day."""
        self._clocks[clock.partition] = max(clock.day, self._clocks.get(clock.partition, 0))

    def sample(self, now: float) -> None:
        """Add the present counts to the series; `now` in seconds since 1970."""
        strategies = [self.count(strategy=each) for each in OPEN_STRATEGIES]
        buckets = [self.count(bucket=each) for each in OPEN_BUCKETS]
        self.series.add(now, *strategies, *buckets, self.arrears_minor / MINOR_UNITS)

    def count(self, bucket: str | None = None, strategy: Strategy | None = None) -> int:
        """Borrowers in this bucket and under this strategy; None counts all."""
        return sum(
            number
            for (each_bucket, each_strategy), number in self.counts.items()
            if bucket in (None, each_bucket) and strategy in (None, each_strategy)
        )

    def place(self, borrower_id: str) -> Place | None:
        """Where the borrower's newest row stands; None if the borrower is not among those counted."""
        return self._places.get(borrower_id)

    def ids_like(self, part: str, most: int) -> list[str]:
        """Some borrowers whose id holds this text, in any case."""
        wanted = part.lower()
        return list(islice((each for each in self._places if wanted in each.lower()), most))

    @property
    def business_day(self) -> int | None:
        """The last day that is closed on every partition which has closed any."""
        return min(self._clocks.values(), default=None)

    def _count(self, place: Place, change: int) -> None:
        self.counts[_CELLS[place.cell]] += change
        self.arrears_minor += change * place.arrears
