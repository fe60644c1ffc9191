"""Some of a batch's work through the steps, in order: account state, features, scores, strategy, rows.

In: records and woken borrowers, from `streams/decide.py`. Out: what they decide, taken over as a whole or not at all.
Next: `streams/evolve.py` applies an event to its account; features, score and strategy follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from streams import evolve
from streams.account.admission import Placement, admit, check_partition
from streams.account.batch import Agenda, BatchResult, Wake
from streams.account.codec import (
    CLOCK_PREFIX,
    BorrowerState,
    KnownState,
    OutboxEntry,
    encode,
    look_up,
)
from streams.account.decision_state import DecisionState
from streams.account.loan import Account, Waiting
from streams.account.memory import Memory
from streams.account.rules import AccountRules
from streams.contracts.events import AccountEvent, DayClosed, Event, InvalidEventError
from streams.contracts.records import DeadLetter, Record
from streams.contracts.refusals import EventRefusedError
from streams.features import open_loans
from streams.score import LoanScore, ModelSet, ModelVersions
from streams.strategy import LABEL_DAYS, Judgement, StrategyRules, action_of, judge, label_json, packed

_NEW = DecisionState()


@dataclass(frozen=True)
class Rules:
    """The settings of the domain. `days_ahead` is how far an event may be dated ahead of Kafka's time; None: any."""

    account: AccountRules = field(default_factory=AccountRules)
    strategy: StrategyRules = field(default_factory=StrategyRules)
    days_ahead: int | None = 2


class Context(NamedTuple):
    """What decisions are made by, beside the records: `lookup` gives a row's bytes as it was last decided."""

    rules: Rules
    memory: Memory
    lookup: Callable[[str], bytes | None]
    place: Placement | None
    model_set: ModelSet
    versions: ModelVersions
    now: datetime


def wake_day(account: Account, rules: Rules) -> int:
    """The day on which a tick must look at this account again, or 0."""
    return evolve.next_wake(account, rules.account, LABEL_DAYS)


class _Step(NamedTuple):
    """A borrower's account just after one event, waiting for its scores."""

    account: Account
    record: Record
    event: Event


class Block:
    """Some of a batch's work: accounts first, then their scores in one call, then decisions.

    Beside it only ticks and notes of wakes change anything; the rest is taken over once the whole block is done.
    """

    def __init__(self, context: Context, outboxes: Mapping[str, tuple[OutboxEntry, ...]]) -> None:
        self.result = BatchResult()
        self.outboxes: dict[str, tuple[OutboxEntry, ...]] = {}
        self.moved: list[tuple[KnownState | None, DecisionState]] = []
        self.taken = 0
        self.last: Record | Wake | None = None
        self._context = context
        self._rules = context.rules
        self._memory = context.memory
        self._sent_before = outboxes
        self._before: dict[str, KnownState | None] = {}
        self._accounts: dict[str, Account] = {}
        self._decisions: dict[str, DecisionState] = {}
        self._ends: dict[str, Record] = {}
        self._ticked: set[int] = set()
        self._steps: list[_Step] = []

    def work(self, agenda: Agenda, most: int) -> None:
        """Take items until there are so many steps, but with `most` 1 one item only, and bring them to rows."""
        while len(self._steps) < most and (item := agenda.next()) is not None:
            self.taken += 1
            self.last = item
            if isinstance(item, Wake):
                self._wake(item)
            else:
                self._take_or_refuse(item, agenda)
            if most == 1:
                break
        self._decide()
        self._collect_rows()

    def _take_or_refuse(self, record: Record, agenda: Agenda) -> None:
        try:
            closed_day = self._memory.day_before(record.partition, record.offset)
            event = admit(record, closed_day, self._rules.days_ahead)
            if event.type == "day_closed":
                self._close_day(event, record, agenda)
            else:
                self._apply(event, record, closed_day)
        except InvalidEventError as error:
            self.result.dead_letters.append(DeadLetter(record, "invalid_event", str(error)))
        except EventRefusedError as error:
            self.result.dead_letters.append(DeadLetter(record, error.reason, str(error)))

    def _apply(self, event: AccountEvent, record: Record, closed_day: int) -> None:
        before = self._known(event.borrower_id)
        check_partition(event, record, before, self._context.place)
        if before is not None and record.offset <= before.applied_offset:
            self.result.redelivered += 1
            return
        account = self._accounts.get(event.borrower_id)
        changed = evolve.apply(event, account, self._rules.account, closed_day, record)
        if changed is account:
            self.result.duplicates += 1
            return
        self.result.applied[event.type] += 1
        self._step(changed, record, event)

    def _close_day(self, event: DayClosed, record: Record, agenda: Agenda) -> None:
        day, memory = event.business_date.toordinal(), self._memory
        fate = memory.fate_of_tick(record.partition, day, record.offset)
        if fate == "duplicate":
            self.result.duplicates += 1
            return
        if fate == "redelivered":
            self.result.redelivered += 1
        else:
            self.result.applied[event.type] += 1
            memory.close_day(record.partition, day, record.offset)
            self._ticked.add(record.partition)
        agenda.wake([Wake(borrower_id, record, event) for borrower_id in memory.waking(record.partition, day)])

    def _wake(self, wake: Wake) -> None:
        before = self._known(wake.borrower_id)
        account = self._accounts.get(wake.borrower_id)
        if account is None:
            return
        day, record = wake.tick.business_date.toordinal(), wake.record
        due = wake_day(account, self._rules)
        # What woke it may have been settled since: a state must not depend on when it was last loaded.
        if (before is not None and record.offset <= before.applied_offset) or not 0 < due <= day:
            self._memory.wake_on(record.partition, due, wake.borrower_id)
            return
        for given_up in evolve.overdue_reversals(account, day, self._rules.account):
            self.result.dead_letters.append(_unmatched(given_up, wake.borrower_id))
        self._step(evolve.close_day(account, day, self._rules.account), record, wake.tick)

    def _known(self, borrower_id: str) -> KnownState | None:
        """The borrower's row as the block found it, fetched on first sight."""
        if borrower_id in self._before:
            return self._before[borrower_id]
        state = look_up(self._context.lookup, borrower_id)
        self._before[borrower_id] = state
        if state is not None:
            self._accounts[borrower_id] = state.account
            self._decisions[borrower_id] = state.decision
        return state

    def _step(self, account: Account, record: Record, event: Event) -> None:
        self._accounts[account.borrower_id] = account
        self._ends[account.borrower_id] = record
        self._steps.append(_Step(account, record, event))
        self._memory.wake_on(record.partition, wake_day(account, self._rules), account.borrower_id)

    def _decide(self) -> None:
        rules, steps = self._rules, self._steps
        loans = [open_loans(step.account, rules.account) for step in steps]
        flat = [loan for of_step in loans for loan in of_step]
        self.result.scored += len(flat)
        scores = self._context.model_set.score_loans(flat)
        judged = [
            self._judge(step, list(islice(scores, len(of_step)))) for step, of_step in zip(steps, loans, strict=True)
        ]
        decisive = [each.worst.row for each in judged if each.is_change and each.worst]
        parts = iter(self._context.model_set.contributions(decisive)[1]) if decisive else iter(())
        for step, judgement in zip(steps, judged, strict=True):
            self._tell(step, judgement, parts)

    def _judge(self, step: _Step, scores: list[LoanScore]) -> Judgement:
        borrower_id = step.account.borrower_id
        known = self._decisions.get(borrower_id)
        judged = judge(
            known or _NEW, step.account, scores, self._context.versions, self._rules.strategy, self._rules.account
        )
        self._decisions[borrower_id] = judged.decision
        if known and (left := known.bucket) != (entered := judged.decision.bucket):
            self.result.rolls[left, entered] += 1
        return judged

    def _tell(self, step: _Step, judged: Judgement, parts: Iterator[list[float]]) -> None:
        """Send what a step decided; `parts` are the contributions of the rows that changed a strategy, in order."""
        account, record = step.account, step.record
        for outcome in judged.outcomes:
            label = label_json(outcome, account.borrower_id, record.partition, record.offset)
            self._send(step, _entry(step, "outcome", packed(outcome)), _entry(step, "label", label))
            self.result.labels += 1
        if judged.is_change:
            explained = next(parts) if judged.worst else []
            context = self._context
            cause = (record, step.event)
            action = action_of(judged, account, cause, explained, context.model_set, self._rules.account, context.now)
            self.result.actions.append(action)
            told = _entry(step, "action", action.model_dump_json().encode())
            self._send(step, told, told)

    def _send(self, step: _Step, kept: OutboxEntry, sent: OutboxEntry) -> None:
        borrower_id = step.account.borrower_id
        already = self.outboxes.get(borrower_id) or self._sent_before.get(borrower_id, ())
        self.outboxes[borrower_id] = (*already, kept)
        self.result.outgoing.append((step.record.partition, sent))

    def _collect_rows(self) -> None:
        for borrower_id, record in self._ends.items():
            decision = self._decisions[borrower_id]
            self.moved.append((self._before[borrower_id], decision))
            state = BorrowerState(
                account=self._accounts[borrower_id],
                decision=decision,
                partition=record.partition,
                applied_offset=record.offset,
                outbox=self.outboxes.get(borrower_id) or self._sent_before.get(borrower_id, ()),
            )
            self.result.rows[borrower_id] = (record.partition, encode(state))
        for number in self._ticked:
            self.result.rows[f"{CLOCK_PREFIX}{number}"] = (number, encode(self._memory.clock(number)))


def _unmatched(waiting: Waiting, borrower_id: str) -> DeadLetter:
    """A reversal without a payment, as it came."""
    origin = Record(waiting.partition, waiting.offset, borrower_id.encode(), waiting.message, waiting.timestamp_ms)
    return DeadLetter(origin, "unknown_payment", "payment_event_id: no such payment of the loan has come")


def _entry(step: _Step, kind: str, value: bytes) -> OutboxEntry:
    return OutboxEntry(kind, step.record.offset, step.account.borrower_id.encode(), value)
