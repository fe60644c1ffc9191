"""What the engine remembers of its partitions beside the table: clocks, who wakes when, unsent messages, counts.

All of it can be built anew from the table's rows, which is what a recovery does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Literal

from msgspec.structs import replace

from streams.account.codec import KnownState, OutboxEntry, PartitionClock
from streams.account.decision_state import DecisionState
from streams.contracts.vocabulary import Segment, Strategy

# Each is some nine bytes in a row that a batch with a tick in it writes once.
MOST_CLOSINGS = 1024


class _Partition:
    def __init__(self, clock: PartitionClock) -> None:
        self.clock = clock
        self.wakes: defaultdict[int, set[str]] = defaultdict(set)
        self.unsent: list[OutboxEntry] = []
        self.is_topic_new = False


TickFate = Literal["applied", "redelivered", "duplicate"]


def _day_before(clock: PartitionClock, offset: int, unknown: int) -> int:
    return next((day for closed_at, day in reversed(clock.closings) if closed_at < offset), unknown)


class Memory:
    """The partitions of one worker, and the counts of the borrowers on them.

    `mark` and `undo` take back ticks. A wake that was noted stays: whoever is woken for nothing goes on sleeping.
    """

    def __init__(self) -> None:
        self.portfolio: Counter[tuple[str, Strategy]] = Counter()
        self.arrears_minor: Counter[str] = Counter()
        self.segments: Counter[Segment] = Counter()
        self._partitions: dict[int, _Partition] = {}
        self._undo: list[tuple[_Partition, PartitionClock, int, list[str]]] = []

    def begin(self, clocks: Iterable[PartitionClock]) -> None:
        """Forget everything but these clocks."""
        self._partitions = {clock.partition: _Partition(clock) for clock in clocks}
        self._undo.clear()
        for counts in (self.portfolio, self.arrears_minor, self.segments):
            counts.clear()

    def clock(self, partition: int) -> PartitionClock:
        """The partition's clock; one that has closed no day where none is known."""
        return self._of(partition).clock

    def pin_topic(self, partition: int, topic_id: str) -> None:
        """Note which topic the partition's offsets count; the next batch there writes it with the clock."""
        found = self._of(partition)
        if found.clock.topic_id != topic_id:
            found.clock = replace(found.clock, topic_id=topic_id)
            found.is_topic_new = True

    def take_is_topic_new(self, partition: int) -> bool:
        """Whether the clock has to be written because its topic was noted; true once."""
        found = self._of(partition)
        is_new, found.is_topic_new = found.is_topic_new, False
        return is_new

    def day_before(self, partition: int, offset: int) -> int:
        """The last day closed before the record at this offset, also where the record is delivered again.

        Further back than the clock remembers it is the newest day.
        """
        clock = self._of(partition).clock
        return clock.day if offset > clock.applied_offset else _day_before(clock, offset, clock.day)

    def fate_of_tick(self, partition: int, day: int, offset: int) -> TickFate:
        """Whether a tick closes a day, did so before a recovery, or came too late to close any."""
        clock = self._of(partition).clock
        if offset > clock.applied_offset:
            return "applied" if day > clock.day else "duplicate"
        return "redelivered" if day > _day_before(clock, offset, 0) else "duplicate"

    def close_day(self, partition: int, day: int, offset: int) -> None:
        """A tick moves the partition's clock on."""
        found = self._of(partition)
        clock = found.clock
        # A clock's first entry is where it stood before: at no day, or at the day of an older version's row.
        known = clock.closings or ((clock.applied_offset, clock.day),)
        self._undo.append((found, clock, day, []))
        found.clock = replace(clock, day=day, applied_offset=offset, closings=(*known, (offset, day))[-MOST_CLOSINGS:])

    def wake_on(self, partition: int, day: int, borrower_id: str) -> None:
        """Note that the close of this day must look at the borrower again; 0 is no day."""
        if day:
            self._of(partition).wakes[day].add(borrower_id)

    def waking(self, partition: int, day: int) -> list[str]:
        """Take out who wakes by the close of `day`, in a fixed order."""
        found = self._of(partition)
        passed = [noted for noted in found.wakes if noted <= day]
        woken = sorted(set().union(*(found.wakes.pop(noted) for noted in passed)))
        self._undo.append((found, found.clock, day, woken))
        return woken

    def mark(self) -> None:
        """What happened so far is not taken back any more."""
        self._undo.clear()

    def undo(self) -> None:
        """Take back the ticks since the last mark."""
        for found, clock, day, woken in reversed(self._undo):
            found.clock = clock
            if woken:
                found.wakes[day].update(woken)
        self._undo.clear()

    def keep_unsent(self, partition: int, entries: Iterable[OutboxEntry]) -> None:
        """Remember messages that a crash may have kept from being sent."""
        self._of(partition).unsent.extend(entries)

    def take_unsent(self, partition: int, first: int, last: int) -> list[OutboxEntry]:
        """Take out what was decided on the offsets up to `last`; what lies before `first` is not needed any more."""
        found = self._of(partition)
        taken = [entry for entry in found.unsent if first <= entry.offset <= last]
        found.unsent = [entry for entry in found.unsent if entry.offset > last]
        return taken

    def count(self, before: KnownState | None, after: DecisionState) -> None:
        """A borrower stands elsewhere in the portfolio now, or is new."""
        if before is not None:
            self._add(before.decision, -1)
        self._add(after, 1)

    def _add(self, decision: DecisionState, change: int) -> None:
        bucket = decision.bucket
        self.portfolio[bucket, decision.strategy] += change
        self.arrears_minor[bucket] += change * decision.arrears
        if decision.segment and decision.has_open_loan:
            self.segments[decision.segment] += change

    def _of(self, partition: int) -> _Partition:
        found = self._partitions.get(partition)
        if found is None:
            found = self._partitions[partition] = _Partition(PartitionClock(partition, 0, -1))
        return found
