"""From a decided batch to Kafka: what makes it durable, in the order that makes any crash in between harmless.

In: a decided batch from `streams/consume.py`. Out: dead letters, then state rows with their outbox, then actions and
labels, then the offsets that are done; each is acknowledged before the next begins (docs/reliability.md).
Next: nothing, the event's way ends here.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from streams.account.changelog import Claims, Verdict, claim_key, claim_of
from streams.contracts.topics import ACTIONS, EVENTS, LABELS
from streams.decide import BatchResult
from streams.kafka.changelog import LogRecord, Row, claim_message, row_message
from streams.kafka.dead_letters import file_dead_letters
from streams.kafka.producer import Message

_log = logging.getLogger(__name__)
_TOPIC_OF = {"action": ACTIONS, "label": LABELS}


class OwnershipLostError(RuntimeError):
    """Another writer has claimed a partition: what was written since does not count."""


class UnclearWriteError(RuntimeError):
    """Kafka did not say whether it took a write: it may stand there whole, in part, not at all, or later."""


class ChangelogError(RuntimeError):
    """The changelog is not the one that the local store was made from."""


class Messages(Protocol):
    """All topics but the changelog."""

    async def write(self, messages: Sequence[Message]) -> list[int]:
        """Return once all are acknowledged, with their offsets; tries as long as it takes."""


class Log(Messages, Protocol):
    """The changelog."""

    async def write_once(self, messages: Sequence[Message]) -> list[int]:
        """The same, without a second try. Raises `UnclearWriteError`."""

    async def read(self, partition: int, start: int, stop: int) -> list[LogRecord]:
        """The records in [start, stop)."""


class Table(Protocol):
    """The local copy of the changelog."""

    def next_offset(self, partition: int) -> int:
        """Up to where the changelog is taken in."""

    def take(self, records: Sequence[LogRecord]) -> None:
        """Take in what follows there, by the rule of `streams.account.changelog`."""

    def write(self, records: Sequence[LogRecord]) -> None:
        """Take in what this worker has just written there, which goes on from what the table holds."""

    def skip_to(self, partition: int, offset: int) -> None:
        """All before the offset is taken in; what is missing there compaction has removed."""

    def overtaken(self, partitions: Iterable[int]) -> list[Row]:
        """Rows that count, of keys whose newest record does not."""


class Offsets(Protocol):
    """Where to tell which events are done."""

    def done(self, next_offsets: Mapping[int, int]) -> None:
        """All before these offsets is durable, by partition."""


class Changelog:
    """The changelog of the owned partitions as a compare-and-swap.

    The owner knows the offset that its next record must get. Another offset means that somebody else has written: what
    stands between is read before the store is touched or a message is sent (docs/decisions/0080).
    """

    def __init__(self, name: str, owner: str, log: Log, table: Table) -> None:
        self._name = name
        self._owner = owner
        self._log = log
        self._table = table
        self._claims: dict[int, int] = {}

    async def claim(self, partitions: Iterable[int]) -> None:
        """Take partitions over, and these only: the table then holds all that counts before the claims."""
        self._claims = {}
        await self._claim(sorted(partitions), again=False)

    async def write(self, rows: Sequence[Row]) -> None:
        """Write rows to the log and then to the table.

        Raises `OwnershipLostError` if they do not count; the table is then behind the log until `claim`.
        """
        partitions = {row.partition for row in rows}
        if not partitions <= self._claims.keys():
            raise OwnershipLostError(f"partitions {sorted(partitions - self._claims.keys())} are not claimed")
        if not rows:
            return
        records = await self._append(rows)
        await self._take_in({number: written[-1].offset + 1 for number, written in records.items()}, records)

    async def heal(self) -> None:
        """Put rows that count behind those that do not, before compaction can leave only the latter."""
        while rows := self._table.overtaken(self._claims):
            _log.warning("%d stale rows of another worker are put right in the changelog", len(rows))
            await self.write(rows)

    async def look(self, ends: Mapping[int, int]) -> None:
        """Take in what others have written to claimed partitions up to these ends, while no write is under way.

        Raises `OwnershipLostError` if any of it counts.
        """
        further = {no: end for no, end in ends.items() if no in self._claims and end > self._table.next_offset(no)}
        await self._take_in(further, {})

    async def _take_in(self, ends: Mapping[int, int], own: Mapping[int, Sequence[LogRecord]]) -> None:
        """Take in the log up to these ends; `own` are the records that were just written there."""
        written: list[LogRecord] = []
        read: list[LogRecord] = []
        for partition, end in ends.items():
            expected, records = self._table.next_offset(partition), own.get(partition, ())
            if len(records) == end - expected and records[0].offset == expected:
                written += records
                continue
            _log.warning("partition %d of %s: others have written at %d or later", partition, self._name, expected)
            found = await self._log.read(partition, expected, end)
            self._assert_none_counts(partition, found, own_claims=False)
            read += found
        self._table.write(written)
        self._table.take(read)
        for partition, end in ends.items():
            self._table.skip_to(partition, end)

    async def _append(self, rows: Sequence[Row]) -> dict[int, list[LogRecord]]:
        while True:
            messages = [row_message(self._name, row, self._claims[row.partition]) for row in rows]
            try:
                offsets = await self._log.write_once(messages)
            except UnclearWriteError as error:
                # A new claim parts what may still arrive of this try from the next one.
                _log.warning("%s; the partitions are claimed anew", error)
                await self._claim(sorted({row.partition for row in rows}), again=True)
                continue
            records: dict[int, list[LogRecord]] = defaultdict(list)
            for row, message, offset in zip(rows, messages, offsets, strict=True):
                records[row.partition].append(LogRecord(row.partition, offset, row.key, row.value, message.headers))
            return records

    async def _claim(self, partitions: Sequence[int], *, again: bool) -> None:
        """Claim, and take in all that stands before; `again` raises `OwnershipLostError` if others have claimed."""
        claims = await self._log.write([claim_message(self._name, each, self._owner) for each in partitions])
        for partition, claim in zip(partitions, claims, strict=True):
            start = self._table.next_offset(partition)
            if claim < start:
                raise ChangelogError(f"partition {partition} of {self._name} ends at {claim}, but was read to {start}")
            records = await self._log.read(partition, start, claim) if start < claim else []
            if again:
                self._assert_none_counts(partition, records, own_claims=True)
            key = claim_key(partition)
            self._table.take([*records, LogRecord(partition, claim, key, self._owner.encode(), ())])
            self._table.skip_to(partition, claim + 1)
            self._claims[partition] = claim

    def _assert_none_counts(self, partition: int, records: Sequence[LogRecord], *, own_claims: bool) -> None:
        """Raise `OwnershipLostError` if a record counts that this worker has not written."""
        judge, stands_on = Claims(), self._claims[partition]
        judge.newest[partition] = stands_on
        for record in records:
            verdict = judge.judge(*record)
            is_own_claim = verdict is Verdict.CLAIM and own_claims and record.value == self._owner.encode()
            is_own_row = verdict is Verdict.COUNTS and claim_of(record.headers) == stands_on
            if verdict in (Verdict.CLAIM, Verdict.COUNTS) and not (is_own_claim or is_own_row):
                self._claims.pop(partition)
                raise OwnershipLostError(
                    f"partition {partition} of {self._name} was written to by another at {record.offset}"
                )


class Writer:
    """Writes one batch at a time."""

    def __init__(self, messages: Messages, changelog: Changelog, offsets: Offsets) -> None:
        self._messages = messages
        self._changelog = changelog
        self._offsets = offsets

    async def write(self, result: BatchResult, spans: Mapping[int, range]) -> None:
        """Make a batch durable; `spans` are the offsets it covers, by partition."""
        await file_dead_letters(self._messages, EVENTS, result.dead_letters)
        rows = [Row(partition, key.encode(), row) for key, (partition, row) in result.rows.items()]
        await self._changelog.write(rows)
        await self._messages.write(
            [Message(_TOPIC_OF[sent.kind], None, sent.key, sent.value) for _, sent in result.outgoing]
        )
        self._offsets.done({partition: span.stop for partition, span in spans.items()})
        await self._changelog.heal()
