"""A batch's records and those whom a tick among them wakes, in order; and what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.account.codec import OutboxEntry
from streams.contracts.actions import Action
from streams.contracts.events import DayClosed
from streams.contracts.records import DeadLetter, Record


class Wake(NamedTuple):
    """A borrower whom a tick wakes."""

    borrower_id: str
    record: Record
    tick: DayClosed


class Place(NamedTuple):
    """A point of an agenda: records taken, the borrowers that the last one wakes, and how many of them were taken."""

    records: int
    woken: Sequence[Wake]
    wakes: int

    def is_before(self, other: Place) -> bool:
        """Whether less was taken here than there."""
        return (self.records, self.wakes) < (other.records, other.wakes)


class Agenda:
    """The work of a batch: its records, and behind each tick the borrowers that it wakes, of whom there may be many."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self._at = 0
        self._woken: Sequence[Wake] = ()
        self._next = 0

    def next(self) -> Record | Wake | None:
        """Take out what comes next; None at the end."""
        if self._next < len(self._woken):
            self._next += 1
            return self._woken[self._next - 1]
        if self._at < len(self._records):
            self._at += 1
            self._woken, self._next = (), 0
            return self._records[self._at - 1]
        return None

    def wake(self, woken: Sequence[Wake]) -> None:
        """Put these between the tick taken last and the record behind it."""
        self._woken, self._next = woken, 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return self._next >= len(self._woken) and self._at >= len(self._records)

    @property
    def place(self) -> Place:
        """How far it was taken."""
        return Place(self._at, self._woken, self._next)

    def go_back(self, place: Place) -> None:
        """Take again what was taken since."""
        self._at, self._woken, self._next = place


@dataclass
class BatchResult:
    """What a batch decided: table rows by key with their partition, messages in order, refusals, counts."""

    rows: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    outgoing: list[tuple[int, OutboxEntry]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    applied: Counter[str] = field(default_factory=Counter)
    rolls: Counter[tuple[str, str]] = field(default_factory=Counter)
    actions: list[Action] = field(default_factory=list)
    duplicates: int = 0
    redelivered: int = 0
    scored: int = 0
    labels: int = 0

    def add(self, other: BatchResult) -> None:
        """Go on with what was decided after this."""
        self.rows.update(other.rows)
        self.outgoing.extend(other.outgoing)
        self.dead_letters.extend(other.dead_letters)
        self.applied.update(other.applied)
        self.rolls.update(other.rolls)
        self.actions.extend(other.actions)
        self.duplicates += other.duplicates
        self.redelivered += other.redelivered
        self.scored += other.scored
        self.labels += other.labels
