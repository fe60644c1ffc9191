"""The board as the pages want it: plain JSON values, one function a page. Times are ISO 8601, money in units."""

from __future__ import annotations

from datetime import date, datetime
from itertools import islice
from typing import Any

from monitoring.console.action_log import ActionFilter
from monitoring.console.board import Board
from monitoring.console.portfolio import OPEN_STRATEGIES
from streams.contracts.actions import Action
from streams.contracts.money import MINOR_UNITS
from streams.contracts.vocabulary import BUCKETS, Strategy

Json = dict[str, Any]
_NEWEST = 8
_SHOWN = 150
_WEIGHTS = 9
_DEAD_LETTERS = 20


def status(board: Board, now: datetime) -> Json:
    """What every page says at its top: the link to Kafka, the business day, how fast the stream is."""
    link = board.link
    day = board.portfolio.business_day
    published, processed = board.stream.rates
    return {
        "state": link.state,
        "since": link.since.isoformat(),
        "detail": link.detail,
        "backlog": board.backlog,
        "backlog_read": board.backlog_read,
        "told_since": board.told_since.isoformat() if board.told_since else None,
        "business_date": date.fromordinal(day).isoformat() if day else None,
        "published_per_second": round(published, 1),
        "processed_per_second": round(processed, 1),
        "lag": sum(board.stream.lag.values()),
        "workers": board.stream.group.members,
        "p99_seconds": board.actions.latency(99, now.timestamp()),
    }


def overview(board: Board, now: datetime) -> Json:
    """The portfolio at a glance."""
    portfolio = board.portfolio
    return {
        "status": status(board, now),
        "borrowers": portfolio.count(),
        "is_full": portfolio.is_full,
        "most_borrowers": portfolio.most,
        "arrears": portfolio.arrears_minor / MINOR_UNITS,
        "matrix": {
            strategy.value: {bucket: portfolio.counts[bucket, strategy] for bucket in BUCKETS}
            for strategy in (*OPEN_STRATEGIES, Strategy.NONE)
        },
        "series": portfolio.series.columns(),
        "actions": [_action(each) for each in islice(board.actions.newest_first(), _NEWEST)],
        "action_total": board.actions.total,
    }


def actions(board: Board, now: datetime, wanted: ActionFilter) -> Json:
    """The newest actions that the filter takes."""
    taken = [each for each in board.actions.newest_first() if wanted.takes(each)]
    return {
        "status": status(board, now),
        "kept": min(board.actions.total, board.actions.most),
        "most": board.actions.most,
        "matching": len(taken),
        "actions": [_action(each) for each in taken[:_SHOWN]],
    }


def models(board: Board, now: datetime) -> Json:
    """How good the models are, and what the online one has learnt."""
    quality, snapshot = board.quality, board.quality.snapshot
    newest = next(board.actions.newest_first(), None)
    return {
        "status": status(board, now),
        "forest_version": newest.forest_version if newest else None,
        "labels_learnt": snapshot.labels_learnt if snapshot else 0,
        "champion": snapshot.champion if snapshot else None,
        "online_weight": quality.online_weight,
        "window": quality.window,
        "labels": quality.labels,
        "measures": quality.measures(),
        "losses": quality.series.columns(),
        "weights": quality.weights.columns(),
        "coefficients": quality.coefficients()[:_WEIGHTS],
    }


def stream(board: Board, now: datetime) -> Json:
    """How the stream does: rates, lag, latency, dead letters."""
    health = board.stream
    return {
        "status": status(board, now),
        "group_state": health.group.state,
        "p50_seconds": board.actions.latency(50, now.timestamp()),
        "partitions": [
            {
                "partition": part,
                "end": end,
                "committed": health.group.committed.get(part, 0),
                "lag": health.lag[part],
            }
            for part, end in sorted(health.ends.items())
        ],
        "series": health.series.columns(),
        "dead_letters": dict(health.dead_letters.most_common()),
        "replayed": health.replayed,
        "newest_dead_letters": [
            {
                "filed_at": each.filed_at.isoformat(),
                "reason": each.reason,
                "detail": each.detail,
                "origin": f"{each.topic}/{each.partition}@{each.origin_offset}",
            }
            for each in islice(health.newest_dead_letters, _DEAD_LETTERS)
        ],
        "unreadable": board.unreadable,
    }


def _action(action: Action) -> Json:
    return {
        "action_id": action.action_id,
        "borrower_id": action.borrower_id,
        "loan_id": action.loan_id,
        "previous_strategy": action.previous_strategy.value,
        "strategy": action.strategy.value,
        "score": action.score,
        "days_past_due": action.days_past_due,
        "missed_count": action.missed_count,
        "arrears": str(action.arrears),
        "reasons": [reason.text for reason in action.reasons],
        "event_type": action.event_type,
        "occurred_at": action.occurred_at.isoformat(),
        "decided_at": action.decided_at.isoformat(),
    }
