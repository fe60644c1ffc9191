"""One batch of records through the pure core: validate, account state, features, score, strategy.

The engine does no input or output and reads no clock but the records' own: the same records and models give
the same states and messages, whether they come from Kafka, from a test's plain loop or from training.
What `process` returns must be in the table before the next call; if it cannot be written, `load` starts over.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from itertools import islice, repeat
from typing import NamedTuple

import msgspec

from models.serving.reasons import top_reasons
from streams import evolve
from streams.account.codec import (
    CLOCK_PREFIX,
    BorrowerState,
    KnownState,
    OutboxEntry,
    PartitionClock,
    decode_known,
    encode,
)
from streams.account.decision_state import DecisionState
from streams.account.loan import Account, Loan
from streams.account.rules import AccountRules
from streams.account.standing import Position, delinquency_bucket, position
from streams.contracts.actions import Action
from streams.contracts.events import AccountEvent, DayClosed, Event, InvalidEventError, decode_event
from streams.contracts.money import MINOR_UNITS
from streams.contracts.records import DeadLetter, Record
from streams.contracts.refusals import EventRefusedError, RefusalReason
from streams.contracts.vocabulary import CLOSED, Segment, Strategy
from streams.features import loan_row
from streams.score import ModelSet, Scores
from streams.strategy import LABEL_DAYS, SEVERITY, Judgement, LoanScore, Outcome, StrategyRules, judge

_FUTURE_TOLERANCE_DAYS = 1
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MS_A_DAY = 86_400_000
_NEW = DecisionState()
_outcome_decoder = msgspec.msgpack.Decoder(Outcome)
# So many that a call of the forest is worth it, so few that what they make stays in a core's own cache.
_STEPS_AT_ONCE = 128


@dataclass(frozen=True)
class Rules:
    """The settings of the domain."""

    account: AccountRules = field(default_factory=AccountRules)
    strategy: StrategyRules = field(default_factory=StrategyRules)


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


class _Step(NamedTuple):
    """A borrower's account just after one event, waiting for its scores."""

    account: Account
    record: Record
    event: Event


@dataclass
class _Partition:
    """What the engine remembers of a partition beside the table: its clock, and who wakes on which day."""

    clock: PartitionClock
    wakes: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    unsent: list[OutboxEntry] = field(default_factory=list)
    is_clock_new: bool = False

    def wake_on(self, day: int, borrower_id: str) -> None:
        if day:
            self.wakes[day].add(borrower_id)

    def waking(self, day: int) -> list[str]:
        """Take out who wakes by the close of `day`, in a fixed order."""
        passed = [each for each in self.wakes if each <= day]
        return sorted(set().union(*(self.wakes.pop(each) for each in passed)))


class Engine:
    """The partitions of one worker. `lookup` gives a table row's bytes by key, or None."""

    def __init__(self, rules: Rules, lookup: Callable[[str], bytes | None]) -> None:
        self.rules = rules
        self.lookup = lookup
        self.portfolio: Counter[tuple[str, Strategy]] = Counter()
        self.arrears_minor: Counter[str] = Counter()
        self.segments: Counter[Segment] = Counter()
        self._partitions: dict[int, _Partition] = {}

    def load(
        self, states: Iterable[BorrowerState], clocks: Iterable[PartitionClock], committed: Mapping[int, int]
    ) -> None:
        """Start over from recovered table rows, as after a rebalance.

        Records are delivered again from the offsets `committed` by partition, or from 0 where there is none.
        """
        self._partitions = {clock.partition: _Partition(clock) for clock in clocks}
        self.portfolio.clear()
        self.arrears_minor.clear()
        self.segments.clear()
        for state in states:
            self.schedule(state.partition, state.account)
            # What was decided before the commit was sent before it.
            if state.applied_offset >= committed.get(state.partition, 0):
                self.partition(state.partition).unsent.extend(state.outbox)
            self.count(state.watch, 1)

    def process(self, records: Sequence[Record], book: ModelSet, now: datetime) -> BatchResult:
        """Decide a batch of records; each partition's come in offset order. `now` only dates the actions."""
        batch = Batch(self, records, book, now)
        for _ in batch.steps():
            pass
        return batch.result

    def partition(self, number: int) -> _Partition:
        """The partition's memory, begun on first use."""
        if number not in self._partitions:
            self._partitions[number] = _Partition(PartitionClock(number, 0, -1))
        return self._partitions[number]

    def pin_topic(self, number: int, topic_id: str) -> None:
        """Note which topic a partition's offsets count: it is written with the next batch there."""
        partition = self.partition(number)
        if partition.clock.topic_id != topic_id:
            partition.clock = msgspec.structs.replace(partition.clock, topic_id=topic_id)
            partition.is_clock_new = True

    def schedule(self, partition: int, account: Account) -> None:
        """Note the day on which a tick must look at this account again."""
        day = evolve.next_wake(account, self.rules.account, LABEL_DAYS)
        self.partition(partition).wake_on(day, account.borrower_id)

    def count(self, watch: DecisionState, change: int) -> None:
        """Add a borrower to the portfolio's counts, or with -1 take it out."""
        bucket = _bucket(watch)
        self.portfolio[bucket, watch.strategy] += change
        self.arrears_minor[bucket] += change * watch.arrears
        if watch.segment and watch.has_open_loan:
            self.segments[watch.segment] += change


class Batch:
    """`Engine.process` for a caller who has other things to do between its steps; `result` is whole after the last.

    Accounts first, then their scores in one call, then decisions, for some events and woken borrowers at a time.
    """

    def __init__(self, engine: Engine, records: Sequence[Record], book: ModelSet, now: datetime) -> None:
        self.result = BatchResult()
        self._engine = engine
        self._records = records
        self._book = book
        self._versions = book.versions
        self._now = now
        self._before: dict[str, KnownState | None] = {}
        self._accounts: dict[str, Account] = {}
        self._watches: dict[str, DecisionState] = {}
        self._outboxes: dict[str, list[OutboxEntry]] = {}
        self._last: dict[str, Record] = {}
        self._ticked: set[int] = set()
        self._waking: deque[Callable[[], None]] = deque()
        self._steps: list[_Step] = []

    def steps(self) -> Iterator[None]:
        """Work through the batch, once; pauses every few milliseconds."""
        self._resend(self._records)
        for _ in self._moves():
            if len(self._steps) >= _STEPS_AT_ONCE:
                self._conclude()
                yield
        self._conclude()
        # The learner tells repeats by their order, so labels leave in the order of their origin.
        self.result.outgoing.sort(key=_order)

    def _moves(self) -> Iterator[None]:
        """Take the records one by one, and one by one whom a tick wakes: it may be a tenth of a partition."""
        for record in self._records:
            self._take_or_refuse(record)
            yield
            while self._waking:
                self._waking.popleft()()
                yield

    def _conclude(self) -> None:
        """Bring what was taken so far to rows and messages."""
        self._decide()
        self._collect_rows()
        self._forget()

    def _take_or_refuse(self, record: Record) -> None:
        try:
            self._take(record)
        except InvalidEventError as error:
            self._refuse(record, "invalid_event", str(error))
        except EventRefusedError as error:
            self._refuse(record, error.reason, str(error))

    def _refuse(self, record: Record, reason: RefusalReason, detail: str) -> None:
        self.result.dead_letters.append(DeadLetter(record, reason, detail))

    def _resend(self, records: Sequence[Record]) -> None:
        """After a recovery, send again what was decided on the redelivered offsets: the crash may have cut it off."""
        spans: dict[int, tuple[int, int]] = {}
        for record in records:
            first, _ = spans.get(record.partition, (record.offset, 0))
            spans[record.partition] = first, record.offset
        for number, (first, last) in spans.items():
            partition = self._engine.partition(number)
            again = [each for each in partition.unsent if first <= each.offset <= last]
            partition.unsent = [each for each in partition.unsent if each.offset > last]
            if partition.is_clock_new:
                partition.is_clock_new = False
                self._ticked.add(number)
            self.result.outgoing.extend((number, _message(number, each)) for each in again)
            # The borrower's next row may be written before these are sent: it must hold them as well.
            for each in again:
                self._outboxes.setdefault(each.key.decode(), []).append(each)

    def _take(self, record: Record) -> None:
        if record.value is None:
            if record.unreadable:
                raise EventRefusedError(*record.unreadable)
            raise InvalidEventError("message: empty value")
        event = decode_event(record.value)
        self._check_date(event, record)
        # Told by the type's name: isinstance on these models costs more than the rest of this function.
        if event.type == "day_closed":
            self._close_day(event, record)
        else:
            self._apply(event, record)

    def _check_date(self, event: Event, record: Record) -> None:
        published = _EPOCH_DAY + record.timestamp_ms // _MS_A_DAY
        latest = max(published, self._clock(record.partition).day + 1) + _FUTURE_TOLERANCE_DAYS
        claimed = event.business_date if event.type == "day_closed" else event.occurred_at.date()
        if claimed.toordinal() > latest:
            field_name = "business_date" if event.type == "day_closed" else "occurred_at"
            raise EventRefusedError("future_date", f"{field_name}: later than {date.fromordinal(latest).isoformat()}")

    def _clock(self, partition: int) -> PartitionClock:
        return self._engine.partition(partition).clock

    def _apply(self, event: AccountEvent, record: Record) -> None:
        if record.key != event.borrower_id.encode():
            raise EventRefusedError("key_mismatch", "the message key is not the event's borrower_id")
        if self._is_redelivered(event.borrower_id, record):
            self.result.redelivered += 1
            return
        account = self._accounts.get(event.borrower_id)
        changed = evolve.apply(event, account, self._engine.rules.account)
        if changed is account:
            self.result.duplicates += 1
            return
        self.result.applied[event.type] += 1
        self._step(changed, record, event)

    def _close_day(self, event: DayClosed, record: Record) -> None:
        if event.partition != record.partition:
            raise EventRefusedError("wrong_partition", f"partition: the tick stands on partition {record.partition}")
        clock, day = self._clock(record.partition), event.business_date.toordinal()
        if record.offset <= clock.applied_offset:
            self.result.redelivered += 1
        elif day <= clock.day:
            self.result.duplicates += 1
            return
        else:
            self.result.applied[event.type] += 1
            clock = msgspec.structs.replace(clock, day=day, applied_offset=record.offset)
            self._engine.partition(record.partition).clock = clock
            self._ticked.add(record.partition)
        for borrower_id in self._engine.partition(record.partition).waking(day):
            self._waking.append(partial(self._wake, borrower_id, day, record, event))

    def _wake(self, borrower_id: str, day: int, record: Record, event: DayClosed) -> None:
        redelivered = self._is_redelivered(borrower_id, record)
        account = self._accounts[borrower_id]
        due = evolve.next_wake(account, self._engine.rules.account, LABEL_DAYS)
        # What woke it may have been settled since: a state must not depend on when it was last loaded.
        if redelivered or not 0 < due <= day:
            self._engine.schedule(record.partition, account)
            return
        self._step(evolve.close_day(account, day, self._engine.rules.account), record, event)

    def _is_redelivered(self, borrower_id: str, record: Record) -> bool:
        """Fetch the borrower on first sight, and compare the record with what its state already holds."""
        if borrower_id not in self._before:
            row = self._row(borrower_id)
            state = decode_known(row) if row is not None else None
            self._before[borrower_id] = state
            if state is not None:
                self._accounts[borrower_id] = state.account
                self._watches[borrower_id] = state.watch
        before = self._before[borrower_id]
        return before is not None and record.offset <= before.applied_offset

    def _row(self, borrower_id: str) -> bytes | None:
        decided = self.result.rows.get(borrower_id)
        return decided[1] if decided else self._engine.lookup(borrower_id)

    def _step(self, account: Account, record: Record, event: Event) -> None:
        self._accounts[account.borrower_id] = account
        self._last[account.borrower_id] = record
        self._steps.append(_Step(account, record, event))
        self._engine.schedule(record.partition, account)

    def _decide(self) -> None:
        rules = self._engine.rules.account
        loans = [
            [_open_loan(loan, step.account, rules) for loan in step.account.loans if not loan.closed]
            for step in self._steps
        ]
        flat = [each for of_step in loans for each in of_step]
        self.result.scored += len(flat)
        scores = _loan_scores(flat, self._book.score([each.row for each in flat])) if flat else iter(())
        judged = [
            self._judge(step, list(islice(scores, len(of_step))))
            for step, of_step in zip(self._steps, loans, strict=True)
        ]
        decisive = [each.worst.row for each in judged if each.is_change and each.worst]
        parts = iter(self._book.contributions(decisive)[1]) if decisive else iter(())
        for step, judgement in zip(self._steps, judged, strict=True):
            self._tell(step, judgement, parts)

    def _judge(self, step: _Step, scores: list[LoanScore]) -> Judgement:
        borrower_id = step.account.borrower_id
        known = self._watches.get(borrower_id)
        judged = judge(known or _NEW, step.account, scores, self._versions, self._engine.rules.strategy)
        self._watches[borrower_id] = judged.watch
        if known and _bucket(known) != _bucket(judged.watch):
            self.result.rolls[_bucket(known), _bucket(judged.watch)] += 1
        return judged

    def _tell(self, step: _Step, judged: Judgement, parts: Iterator[list[float]]) -> None:
        """Send what a step decided; `parts` are the contributions of the rows that changed a strategy, in order."""
        borrower_id = step.account.borrower_id
        for outcome in judged.outcomes:
            packed = msgspec.msgpack.encode(outcome)
            label = label_json(outcome, borrower_id, step.record.partition, step.record.offset)
            self._send(step, _outgoing(step, "outcome", packed), _outgoing(step, "label", label))
            self.result.labels += 1
        if judged.is_change:
            action = self._action(step, judged, next(parts) if judged.worst else [])
            self.result.actions.append(action)
            told = _outgoing(step, "action", action.model_dump_json().encode())
            self._send(step, told, told)

    def _send(self, step: _Step, kept: OutboxEntry, sent: OutboxEntry) -> None:
        self._outboxes.setdefault(step.account.borrower_id, []).append(kept)
        self.result.outgoing.append((step.record.partition, sent))

    def _action(self, step: _Step, judged: Judgement, parts: list[float]) -> Action:
        worst, record, account = judged.worst, step.record, step.account
        risk_fell = SEVERITY[judged.watch.strategy] < SEVERITY[judged.previous]
        reasons = top_reasons(worst.row, parts, risk_fell=risk_fell) if worst else []
        loan = worst.loan if worst else account.loans[-1]
        now = worst.now if worst else position(loan, account.as_of, self._engine.rules.account)
        published = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
        return Action(
            action_id=f"{record.partition}-{record.offset}-{zlib.crc32(account.borrower_id.encode()):08x}",
            borrower_id=account.borrower_id,
            loan_id=loan.loan_id,
            previous_strategy=judged.previous,
            strategy=judged.watch.strategy,
            score=worst.p_blend if worst else None,
            forest_score=worst.p_forest if worst else None,
            online_score=worst.p_online if worst and self._book.online else None,
            online_weight=self._book.online_weight,
            reasons=reasons,
            days_past_due=now.days_past_due,
            delinquency_bucket=delinquency_bucket(now.days_past_due),
            missed_count=now.missed,
            arrears=Decimal(now.arrears) / MINOR_UNITS,
            segment=judged.watch.segment,
            forest_version=self._versions.forest,
            online_version=self._versions.online,
            caused_by=step.event.event_id,
            event_type=step.event.type,
            occurred_at=step.event.occurred_at,
            published_at=published,
            decided_at=self._now,
        )

    def _collect_rows(self) -> None:
        for borrower_id, record in self._last.items():
            before = self._before[borrower_id]
            if before is not None:
                self._engine.count(before.watch, -1)
            self._engine.count(self._watches[borrower_id], 1)
            state = BorrowerState(
                account=self._accounts[borrower_id],
                watch=self._watches[borrower_id],
                partition=record.partition,
                applied_offset=record.offset,
                outbox=tuple(self._outboxes.get(borrower_id, ())),
            )
            self.result.rows[borrower_id] = (record.partition, encode(state))
        for number in self._ticked:
            self.result.rows[f"{CLOCK_PREFIX}{number}"] = (number, encode(self._clock(number)))

    def _forget(self) -> None:
        """Only rows and outboxes outlast the records worked on at once: memory that is free again is in the cache."""
        for kept in (self._before, self._accounts, self._watches, self._last, self._ticked, self._steps):
            kept.clear()


def _bucket(watch: DecisionState) -> str:
    return delinquency_bucket(watch.days_past_due) if watch.has_open_loan else CLOSED


def _order(sent: tuple[int, OutboxEntry]) -> tuple[int, int, bytes]:
    partition, outgoing = sent
    return partition, outgoing.offset, outgoing.key


class _OpenLoan(NamedTuple):
    loan: Loan
    now: Position
    row: tuple[float, ...]


def _open_loan(loan: Loan, account: Account, rules: AccountRules) -> _OpenLoan:
    now = position(loan, account.as_of, rules)
    return _OpenLoan(loan, now, loan_row(loan, now))


def _loan_scores(loans: Sequence[_OpenLoan], scores: Scores) -> Iterator[LoanScore]:
    names = tuple(scores.contenders)
    contenders = zip(*(each.tolist() for each in scores.contenders.values()), strict=True) if names else repeat(())
    parts = zip(scores.forest.tolist(), scores.online.tolist(), scores.blend.tolist(), strict=True)
    for open_loan, (p_forest, p_online, p_blend), those, segment in zip(
        loans, parts, contenders, scores.segments, strict=False
    ):
        yield LoanScore(*open_loan, p_forest, p_online, p_blend, names, those, segment)


def _outgoing(step: _Step, kind: str, value: bytes) -> OutboxEntry:
    return OutboxEntry(kind, step.record.offset, step.account.borrower_id.encode(), value)


def _message(partition: int, kept: OutboxEntry) -> OutboxEntry:
    """What is sent for an entry of an outbox. A label is kept packed, at a third of its size."""
    if kept.kind != "outcome":
        return kept
    label = label_json(_outcome_decoder.decode(kept.value), kept.key.decode(), partition, kept.offset)
    return OutboxEntry("label", kept.offset, kept.key, label)


def label_json(outcome: Outcome, borrower_id: str, partition: int, offset: int) -> bytes:
    """A `Label` as it stands on its topic, written without the model: there are almost as many labels as events."""
    prediction = outcome.prediction
    return msgspec.json.encode(
        {
            "schema_version": 1,
            "borrower_id": borrower_id,
            "origin_partition": partition,
            "origin_offset": offset,
            "loan_id": prediction.loan_id,
            "instalment_number": prediction.instalment,
            "due_date": date.fromordinal(prediction.due_day),
            "scored_on": date.fromordinal(prediction.scored_day),
            "features": prediction.features,
            "forest_score": prediction.p_forest,
            "online_score": prediction.p_online,
            "blended_score": prediction.p_blend,
            "forest_version": prediction.forest_version,
            "online_version": prediction.online_version,
            "online_scores": prediction.p_contenders,
            "outcome": outcome.reached_30_dpd,
        }
    )
