"""From scores to decisions, pure: which strategy is in force, which predictions have met their outcome, what is said.

In: an account's scores, from `streams/score.py`, and what was decided about the borrower before. Out: what is decided
now, and the action and labels that tell of it. Next: `streams/write.py` makes them durable and sends them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from models.serving.reasons import top_reasons
from streams.account.codec import OutboxEntry
from streams.account.decision_state import DecisionState, Prediction
from streams.account.holds import in_force, is_touched
from streams.account.loan import Account, Loan, digest
from streams.account.obligations import due_on, is_paid
from streams.account.payments import paid_by
from streams.account.rules import AccountRules
from streams.account.standing import delinquency_bucket, position
from streams.account.terms import is_changed
from streams.contracts.actions import Action
from streams.contracts.events import Event
from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.money import MINOR_UNITS
from streams.contracts.records import Record, time_of
from streams.contracts.vocabulary import Strategy
from streams.features import next_instalment
from streams.score import LoanScore, ModelSet, ModelVersions

LABEL_DAYS = 30
SEVERITY = {Strategy.NONE: 0, Strategy.REMINDER: 1, Strategy.SETTLEMENT: 2, Strategy.RECOVERY: 3}


@dataclass(frozen=True)
class StrategyRules:
    """Score thresholds, and how far below a threshold a score must fall before a strategy is relaxed."""

    settlement_from: float = 0.50
    recovery_above: float = 0.75
    relax_margin: float = 0.05


def strategy_for(score: float, rules: StrategyRules) -> Strategy:
    """Above 0.75 aggressive recovery, from 0.50 settlement offer, below it automated reminder (by default)."""
    if score > rules.recovery_above:
        return Strategy.RECOVERY
    if score >= rules.settlement_from:
        return Strategy.SETTLEMENT
    return Strategy.REMINDER


def next_strategy(previous: Strategy, score: float | None, rules: StrategyRules) -> Strategy:
    """The strategy now in force: escalation is immediate, relaxing waits until the margin is cleared too.

    `score` is None when no loan is open: there is nothing left to collect.
    """
    if score is None:
        return Strategy.NONE
    wanted = strategy_for(score, rules)
    if SEVERITY[wanted] >= SEVERITY[previous]:
        return wanted
    # Judged as if the score were higher by the margin: what still holds then stays in force.
    cautious = strategy_for(score + rules.relax_margin, rules)
    return min(previous, cautious, key=SEVERITY.__getitem__)


class Outcome(NamedTuple):
    """A prediction whose truth is known now."""

    prediction: Prediction
    reached_30_dpd: bool


_outcome_decoder = msgspec.msgpack.Decoder(Outcome)


class Judgement(NamedTuple):
    """The decision after one scoring, the outcomes learnt, and the strategy that was told last."""

    decision: DecisionState
    outcomes: list[Outcome]
    previous: Strategy
    worst: LoanScore | None

    @property
    def is_change(self) -> bool:
        """Whether another strategy is to be told now."""
        return self.decision.strategy is not self.previous and self.decision.withheld_from is None


def judge(
    decision: DecisionState,
    account: Account,
    scores: Sequence[LoanScore],
    versions: ModelVersions,
    rules: StrategyRules,
    account_rules: AccountRules,
) -> Judgement:
    """Settle predictions that are due, file this scoring's own, and choose the strategy by the worst loan.

    `scores` are those of all loans that are open.
    """
    pending, outcomes = _settle(decision.pending, account, account_rules)
    worst: LoanScore | None = None
    days_past_due = arrears = 0
    for score in scores:
        pending = _file(pending, score, versions, account_rules)
        days_past_due = max(days_past_due, score.now.days_past_due)
        arrears += score.now.arrears
        if worst is None or score.p_blend > worst.p_blend:
            worst = score
    chosen = next_strategy(decision.strategy, worst.p_blend if worst else None, rules)
    if worst and in_force(account, "strategy", worst.loan.loan_id):
        chosen = decision.strategy
    told = decision.withheld_from or decision.strategy
    is_withheld = worst is not None and in_force(account, "contact", worst.loan.loan_id)
    after = DecisionState(
        chosen,
        worst.p_blend if worst else 0.0,
        pending,
        days_past_due,
        arrears,
        has_open_loan=worst is not None,
        segment=worst.segment if worst else decision.segment,
        withheld_from=told if is_withheld and chosen is not told else None,
    )
    return Judgement(after, outcomes, told, worst)


def _settle(
    pending: tuple[Prediction, ...], account: Account, rules: AccountRules
) -> tuple[tuple[Prediction, ...], list[Outcome]]:
    loans = {loan.loan_id: loan for loan in account.loans}
    still: list[Prediction] = []
    outcomes: list[Outcome] = []
    for prediction in pending:
        loan = loans.get(prediction.loan_id)
        if loan and not loan.closed and prediction.due_day + LABEL_DAYS > loan.last_over:
            still.append(prediction)
            continue
        truth = _outcome(loan, prediction, rules) if loan else None
        if truth is not None:
            outcomes.append(Outcome(prediction, truth))
    outcomes.sort(key=lambda each: (each.prediction.loan_id, each.prediction.instalment))
    return tuple(still), outcomes


def _outcome(loan: Loan, prediction: Prediction, rules: AccountRules) -> bool | None:
    """True if the instalment was unpaid 30 days after its due date.

    None, censored, after a refinancing, and where days past due stood still or the terms changed in between.
    """
    known_on = prediction.due_day + LABEL_DAYS
    if is_touched(loan, prediction.due_day + 1, known_on) or is_changed(loan, prediction.scored_day, known_on):
        return None
    if loan.closed and loan.closed_day < known_on:
        return {"settled": False, "written_off": True}.get(loan.closed)
    return not is_paid(loan, prediction.instalment, paid_by(loan, known_on), rules)


def _file(
    pending: tuple[Prediction, ...], score: LoanScore, versions: ModelVersions, rules: AccountRules
) -> tuple[Prediction, ...]:
    """Keep one prediction an instalment: that of the day with the smallest hash.

    Every day of scoring has the same chance, so the labels cover all moments at which the models are asked,
    and a borrower who is scored daily counts no more than one who is scored twice a month. (A CRC would not do:
    it is linear, so that the same dates win for half of all loans.)
    """
    loan_id, as_of = score.loan.loan_id, score.now.as_of
    number = next_instalment(score.loan, as_of, rules)
    if number is None:
        return pending
    priority = digest(f"{loan_id}/{number}/{as_of}")
    for at, old in enumerate(pending):
        if old.instalment == number and old.loan_id == loan_id:
            if old.priority <= priority:
                return pending
            return (*pending[:at], _snapshot(score, number, priority, versions, rules), *pending[at + 1 :])
    return (*pending, _snapshot(score, number, priority, versions, rules))


def _snapshot(score: LoanScore, number: int, priority: int, versions: ModelVersions, rules: AccountRules) -> Prediction:
    return Prediction(
        loan_id=score.loan.loan_id,
        instalment=number,
        due_day=due_on(score.loan, number, rules),
        scored_day=score.now.as_of,
        priority=priority,
        features=score.row[: len(FEATURE_NAMES)],
        p_forest=score.p_forest,
        p_online=score.p_online,
        p_blend=score.p_blend,
        forest_version=versions.forest,
        online_version=versions.online,
        p_contenders=dict(zip(score.contenders, score.p_contenders, strict=True)),
    )


def action_id(partition: int, offset: int, borrower_id: str) -> str:
    """What names the action that a record causes for a borrower: 128 bits, so that no two actions ever share one."""
    told = partition.to_bytes(8) + offset.to_bytes(8) + borrower_id.encode()
    return hashlib.blake2b(told, digest_size=16).hexdigest()


def action_of(
    judged: Judgement,
    account: Account,
    cause: tuple[Record, Event],
    parts: list[float],
    model_set: ModelSet,
    rules: AccountRules,
    now: datetime,
) -> Action:
    """The action that tells of a changed strategy; `parts` are the contributions to the deciding loan's score."""
    worst, (record, event) = judged.worst, cause
    risk_fell = SEVERITY[judged.decision.strategy] < SEVERITY[judged.previous]
    loan = worst.loan if worst else _ended(account, event)
    stands = worst.now if worst else position(loan, loan.as_of, rules)
    versions = model_set.versions
    return Action(
        action_id=action_id(record.partition, record.offset, account.borrower_id),
        borrower_id=account.borrower_id,
        loan_id=loan.loan_id,
        previous_strategy=judged.previous,
        strategy=judged.decision.strategy,
        score=worst.p_blend if worst else None,
        forest_score=worst.p_forest if worst else None,
        online_score=worst.p_online if worst and model_set.online else None,
        online_weight=model_set.online_weight,
        reasons=top_reasons(worst.row, parts, risk_fell=risk_fell) if worst and not worst.loan.charged_off else [],
        days_past_due=stands.days_past_due,
        delinquency_bucket=delinquency_bucket(stands.days_past_due),
        missed_count=stands.missed,
        arrears=Decimal(stands.arrears) / MINOR_UNITS,
        segment=judged.decision.segment,
        forest_version=versions.forest,
        online_version=versions.online,
        caused_by=event.event_id,
        event_type=event.type,
        occurred_at=event.occurred_at,
        published_at=time_of(record.timestamp_ms),
        decided_at=now,
    )


def _ended(account: Account, event: Event) -> Loan:
    """The loan whose end left none open: only an event about it ends one."""
    ended = "" if event.type == "day_closed" else event.loan_id
    return next((loan for loan in account.loans if loan.loan_id == ended), account.loans[-1])


def packed(outcome: Outcome) -> bytes:
    """An outcome as it is kept in an outbox, at a third of its label's size."""
    return msgspec.msgpack.encode(outcome)


def message_of(partition: int, kept: OutboxEntry) -> OutboxEntry:
    """What is sent for an entry of an outbox."""
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
