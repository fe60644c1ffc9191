"""One borrower as plain JSON values, for programs and pages."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from streams.account.closing import recovered
from streams.account.codec import BorrowerState
from streams.account.decision_state import Prediction
from streams.account.loan import Loan
from streams.account.rules import AccountRules
from streams.account.standing import position
from streams.contracts.actions import Action
from streams.contracts.labels import Label
from streams.contracts.money import MINOR_UNITS
from streams.contracts.records import time_of
from streams.history.read import BorrowerHistory
from streams.history.retell import DayPoint, PastEvent
from streams.history.words import in_words
from streams.strategy import LABEL_DAYS

Json = dict[str, Any]


class _Score(NamedTuple):
    """One recorded scoring; a model that took no part, or was not recorded, is None."""

    day: int
    loan_id: str
    source: str
    forest: float | None
    online: float | None
    blend: float | None


def describe(history: BorrowerHistory, rules: AccountRules) -> Json:
    """Everything known of a borrower, without the profile: days and times as ISO 8601, money as decimal strings."""
    state = history.state
    account, decision = state.account, state.decision
    loans = [_loan(loan, rules) for loan in account.loans]
    return {
        "borrower_id": account.borrower_id,
        "as_of": _day(account.as_of),
        "strategy": decision.strategy.value,
        "score": decision.score if decision.has_open_loan else None,
        "segment": decision.segment.value if decision.segment else None,
        "days_past_due": decision.days_past_due,
        "delinquency_bucket": decision.bucket,
        "missed_count": sum(loan["missed_count"] for loan in loans),
        "arrears": _money(decision.arrears),
        "loans": loans,
        "pending_predictions": [_pending(each) for each in decision.pending],
        "outcomes": [_outcome(label) for label in sorted(history.labels, key=lambda each: each.due_date)],
        "history_begins": history.begins.isoformat() if history.begins else None,
        "days": [_day_point(point) for point in history.timeline.days],
        "scores": [_score(each) for each in _scores(history)],
        "events": [_event(past) for past in history.timeline.events],
        "actions": [action.model_dump(mode="json") for action in sorted(history.actions, key=_moment)],
    }


def _moment(action: Action) -> tuple[Any, Any]:
    return action.occurred_at, action.decided_at


def _loan(loan: Loan, rules: AccountRules) -> Json:
    now = position(loan, loan.as_of, rules)
    return {
        "loan_id": loan.loan_id,
        "status": loan.closed or loan.status.value,
        "status_since": _day(loan.closed_day if loan.closed else loan.status_since),
        "opened_on": _day(loan.opened_day),
        "principal": _money(loan.principal),
        "outstanding_principal": _money(now.outstanding),
        "annual_rate_percent": loan.annual_rate_e4 / 10_000,
        "tenure_months": loan.tenure,
        "emi": _money(loan.emi),
        "first_due_on": _day(loan.first_due),
        "instalments_due": now.instalments_due,
        "instalments_paid": now.instalments_paid,
        "days_past_due": now.days_past_due,
        "worst_days_past_due": loan.worst_dpd,
        "missed_count": now.missed,
        "arrears": _money(now.arrears),
        "credit": _money(now.credit),
        "charged_off_on": _day(loan.charged_off) if loan.charged_off else None,
        "recovered": _money(recovered(loan)),
        "forborne_on": _day(loan.forborne_on) if loan.forborne_on else None,
    }


def _pending(prediction: Prediction) -> Json:
    return {
        "loan_id": prediction.loan_id,
        "instalment_number": prediction.instalment,
        "due_on": _day(prediction.due_day),
        "known_on": _day(prediction.due_day + LABEL_DAYS),
        "scored_on": _day(prediction.scored_day),
        "forest_score": prediction.p_forest,
        "online_score": prediction.p_online if prediction.online_version else None,
        "blended_score": prediction.p_blend,
    }


def _outcome(label: Label) -> Json:
    return {
        "loan_id": label.loan_id,
        "instalment_number": label.instalment_number,
        "due_on": label.due_date.isoformat(),
        "scored_on": label.scored_on.isoformat(),
        "forest_score": label.forest_score,
        "online_score": label.online_score if label.online_version else None,
        "blended_score": label.blended_score,
        "reached_30_days_past_due": label.outcome,
    }


def _scores(history: BorrowerHistory) -> list[_Score]:
    """Every scoring the topics still hold: whole ones from labels, open predictions and actions, blends from rows."""
    scores = [
        *(_of_label(label) for label in history.labels),
        *(_of_prediction(each) for each in history.state.decision.pending),
        *(_of_action(action) for action in history.actions),
        *(_of_row(row) for row in history.rows if row.decision.has_open_loan),
    ]
    return sorted(set(scores), key=lambda each: (each.day, each.source, each.loan_id, each.blend or 0))


def _of_label(label: Label) -> _Score:
    online = label.online_score if label.online_version else None
    return _Score(
        label.scored_on.toordinal(), label.loan_id, "prediction", label.forest_score, online, label.blended_score
    )


def _of_prediction(each: Prediction) -> _Score:
    online = each.p_online if each.online_version else None
    return _Score(each.scored_day, each.loan_id, "prediction", each.p_forest, online, each.p_blend)


def _of_action(action: Action) -> _Score:
    day = action.occurred_at.date().toordinal()
    return _Score(day, action.loan_id, "action", action.forest_score, action.online_score, action.score)


def _of_row(row: BorrowerState) -> _Score:
    return _Score(row.account.as_of, "", "state", None, None, row.decision.score)


def _score(each: _Score) -> Json:
    return each._asdict() | {"day": _day(each.day), "loan_id": each.loan_id or None}


def _day_point(point: DayPoint) -> Json:
    return point._asdict() | {"day": _day(point.day), "arrears": _money(point.arrears)}


def _event(past: PastEvent) -> Json:
    event = past.event
    return {
        "offset": past.record.offset,
        "published_at": time_of(past.record.timestamp_ms).isoformat(),
        "type": event.type if event else "unreadable",
        "occurred_at": event.occurred_at.isoformat() if event else None,
        "event_id": event.event_id if event else None,
        "loan_id": event.loan_id if event else None,
        "text": in_words(event) if event else "a message that is no event of the contract",
        "fate": past.fate,
        "detail": past.detail,
    }


def _day(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()


def _money(minor: int) -> str:
    return f"{minor // MINOR_UNITS}.{minor % MINOR_UNITS:02d}"
