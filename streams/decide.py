"""One batch of records through the pure core: validate, account state, features, score, strategy.

In: records in offset order, from `streams/consume.py`. Out: rows, messages and dead letters, for `streams/write.py`.
Next: `streams/evolve.py` applies an event to its account; features, score and strategy follow.

The engine does no input or output and reads no clock but the records' own: the same records and models give
the same states and messages, whether they come from Kafka, from a test's plain loop or from training.
What `process` returns must be in the table before the next call; if it cannot be written, `load` starts over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from streams.account.admission import Placement
from streams.account.batch import Agenda, BatchResult, Wake
from streams.account.codec import CLOCK_PREFIX, BorrowerState, OutboxEntry, PartitionClock, RowUnreadableError, encode
from streams.account.loan import Account
from streams.account.memory import Memory
from streams.contracts.records import DeadLetter, Record
from streams.contracts.refusals import trace_of
from streams.contracts.vocabulary import Segment, Strategy
from streams.decide_block import Block, Context, Rules, wake_day
from streams.score import ModelSet
from streams.strategy import message_of

__all__ = ["Batch", "BatchResult", "Engine", "RowUnreadableError", "Rules"]

# So many that a call of the forest is worth it, so few that what they make stays in a core's own cache.
_STEPS_AT_ONCE = 128


class Engine:
    """The partitions of one worker. `lookup` gives a table row's bytes by key, or None.

    `place` tells on which partition a key belongs; without it an event is only held against its borrower's own row.
    """

    def __init__(self, rules: Rules, lookup: Callable[[str], bytes | None], place: Placement | None = None) -> None:
        self.rules = rules
        self.lookup = lookup
        self.place = place
        self.memory = Memory()

    @property
    def portfolio(self) -> Counter[tuple[str, Strategy]]:
        """Borrowers by delinquency bucket and strategy."""
        return self.memory.portfolio

    @property
    def arrears_minor(self) -> Counter[str]:
        """Arrears by delinquency bucket, in minor units."""
        return self.memory.arrears_minor

    @property
    def segments(self) -> Counter[Segment]:
        """Borrowers with an open loan, by segment."""
        return self.memory.segments

    def load(
        self, states: Iterable[BorrowerState], clocks: Iterable[PartitionClock], committed: Mapping[int, int]
    ) -> None:
        """Start over from recovered table rows, as after a rebalance.

        Records are delivered again from the offsets `committed` by partition, or from 0 where there is none.
        """
        self.memory.begin(clocks)
        for state in states:
            self.memory.wake_on(state.partition, self._wake_day(state.account), state.account.borrower_id)
            # What was decided before the commit was sent before it.
            if state.outbox and state.applied_offset >= committed.get(state.partition, 0):
                self.memory.keep_unsent(state.partition, state.outbox)
            self.memory.count(None, state.decision)

    def process(self, records: Sequence[Record], model_set: ModelSet, now: datetime) -> BatchResult:
        """Decide a batch of records; each partition's come in offset order. `now` only dates the actions."""
        batch = Batch(self, records, model_set, now)
        for _ in batch.steps():
            pass
        return batch.result

    def pin_topic(self, partition: int, topic_id: str) -> None:
        """Note which topic a partition's offsets count: it is written with the next batch there."""
        self.memory.pin_topic(partition, topic_id)

    def _wake_day(self, account: Account) -> int:
        try:
            return wake_day(account, self.rules)
        except Exception:
            # The next tick meets the same trouble, and tells of it in a dead letter.
            return 1


class Batch:
    """`Engine.process` for a caller who has other things to do between its steps; `result` is whole after the last.

    The work is done in blocks. One that fails leaves no trace and is done again item by item; what fails alone is put
    aside as `internal_error`, its borrower stays as before, and all others go on. So it does not matter where a block
    or a batch begins.
    """

    def __init__(self, engine: Engine, records: Sequence[Record], model_set: ModelSet, now: datetime) -> None:
        self.result = BatchResult()
        self._engine = engine
        self._records = records
        self._context = Context(
            engine.rules,
            engine.memory,
            partial(_row, engine, self.result),
            engine.place,
            model_set,
            model_set.versions,
            now,
        )
        self._agenda = Agenda(records)
        self._outboxes: dict[str, tuple[OutboxEntry, ...]] = {}

    def steps(self) -> Iterator[None]:
        """Work through the batch, once; pauses every few milliseconds."""
        self._resend()
        agenda = self._agenda
        singly_to = agenda.place
        while not agenda.is_done:
            began = agenda.place
            block = Block(self._context, self._outboxes)
            error = self._work(block, 1 if began.is_before(singly_to) else _STEPS_AT_ONCE)
            if error is None:
                self._keep(block)
            elif block.last is not None and block.taken == 1:
                self._put_aside(block.last, error)
            else:
                singly_to = agenda.place
                agenda.go_back(began)
            yield
        # The learner tells repeats by their order, so labels leave in the order of their origin.
        self.result.outgoing.sort(key=_order)

    def _work(self, block: Block, most: int) -> Exception | None:
        """Work through a block of at most so many items that matter; what it raised, if it left no trace."""
        memory = self._engine.memory
        memory.mark()
        try:
            block.work(self._agenda, most)
        except (MemoryError, RowUnreadableError):
            raise
        except Exception as error:
            memory.undo()
            return error
        return None

    def _keep(self, block: Block) -> None:
        self.result.add(block.result)
        for borrower_id, entries in block.outboxes.items():
            self._outboxes[borrower_id] = entries
        for before, after in block.moved:
            self._engine.memory.count(before, after)

    def _put_aside(self, item: Record | Wake, error: Exception) -> None:
        """Nobody foresaw this. A borrower whom a tick could not close a day for is woken again by the next one."""
        record = item if isinstance(item, Record) else item.record._replace(key=item.borrower_id.encode())
        self.result.dead_letters.append(DeadLetter(record, "internal_error", trace_of(error)))
        if isinstance(item, Wake):
            self._engine.memory.wake_on(record.partition, item.tick.business_date.toordinal(), item.borrower_id)

    def _resend(self) -> None:
        """After a recovery, send again what was decided on the redelivered offsets: the crash may have cut it off."""
        spans: dict[int, tuple[int, int]] = {}
        for record in self._records:
            first, _ = spans.get(record.partition, (record.offset, 0))
            spans[record.partition] = first, record.offset
        for number, (first, last) in spans.items():
            if self._engine.memory.take_is_topic_new(number):
                self.result.rows[f"{CLOCK_PREFIX}{number}"] = (number, encode(self._engine.memory.clock(number)))
            # The borrower's next row may be written before these are sent: it must hold them as well.
            for entry in self._engine.memory.take_unsent(number, first, last):
                self.result.outgoing.append((number, message_of(number, entry)))
                borrower_id = entry.key.decode()
                self._outboxes[borrower_id] = (*self._outboxes.get(borrower_id, ()), entry)


def _row(engine: Engine, result: BatchResult, borrower_id: str) -> bytes | None:
    """A row as it was decided last. No method of the batch: a circle would keep its records until it is looked for."""
    decided = result.rows.get(borrower_id)
    return decided[1] if decided else engine.lookup(borrower_id)


def _order(sent: tuple[int, OutboxEntry]) -> tuple[int, int, bytes]:
    partition, outgoing = sent
    return partition, outgoing.offset, outgoing.key
