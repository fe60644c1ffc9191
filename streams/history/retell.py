"""A borrower's past, pure: its records through the engine once more, to tell what became of each and how DPD went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.account.codec import CLOCK_PREFIX, BorrowerState, PartitionClock, decode_state, encode
from streams.account.rules import AccountRules
from streams.account.standing import position
from streams.contracts.events import AccountEvent, DayClosed, InvalidEventError, decode_event
from streams.contracts.records import Record, time_of
from streams.decide import BatchResult, Engine, Rules
from streams.score import ModelSet

_NO_MODELS = ModelSet(None)


class PastEvent(NamedTuple):
    """One message under the borrower's key. `event` is None where it is no event of the contract.

    `fate` is `applied`, `duplicate`, the code of the refusal, or `earlier` for what lies before the start of the
    history and so cannot be judged; `detail` says why it was refused.
    """

    record: Record
    event: AccountEvent | None
    fate: str
    detail: str


class DayPoint(NamedTuple):
    """Where all of a borrower's loans stood at the end of a day (an ordinal). Arrears in minor units."""

    day: int
    days_past_due: int
    missed: int
    arrears: int


class Timeline(NamedTuple):
    """What happened, in the order of the topic, and one point for each day on which the account was looked at."""

    events: list[PastEvent]
    days: list[DayPoint]


def retell(borrower_id: str, records: Sequence[Record], base: BorrowerState | None, rules: Rules) -> Timeline:
    """Run one borrower's records and its partition's ticks, in offset order, from `base` on; None: from nothing.

    The engine is the workers' own, so late, repeated and refused events fare as they did there.
    """
    table: dict[str, bytes] = {}
    engine = Engine(rules, table.get)
    days: dict[int, DayPoint] = {}
    if base is not None:
        table[borrower_id] = encode(base)
        engine.load([base], [PartitionClock(base.partition, base.account.as_of, base.applied_offset)], {})
        days[base.account.as_of] = _point(base, rules.account)
    events: list[PastEvent] = []
    for record in records:
        result = engine.process([record], _NO_MODELS, time_of(record.timestamp_ms))
        table.update({key: row for key, (_, row) in result.rows.items() if not key.startswith(CLOCK_PREFIX)})
        if borrower_id in result.rows:
            point = _point(decode_state(table[borrower_id]), rules.account)
            days[point.day] = point
        if record.key == borrower_id.encode():
            events.append(_past(record, result))
    return Timeline(events, [days[day] for day in sorted(days)])


def _past(record: Record, result: BatchResult) -> PastEvent:
    try:
        event = decode_event(record.value or b"")
    except InvalidEventError:
        event = None
    known = None if event is None or isinstance(event, DayClosed) else event
    for refused in result.dead_letters:
        return PastEvent(record, known, refused.reason, refused.detail)
    fate = "earlier" if result.redelivered else "duplicate" if result.duplicates else "applied"
    return PastEvent(record, known, fate, "")


def _point(state: BorrowerState, rules: AccountRules) -> DayPoint:
    account, decision = state.account, state.decision
    missed = sum(position(loan, loan.as_of, rules).missed for loan in account.loans)
    return DayPoint(account.as_of, decision.days_past_due, missed, decision.arrears)
