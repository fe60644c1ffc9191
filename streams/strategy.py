"""From a score to what collections should do."""

from __future__ import annotations

from dataclasses import dataclass

from streams.state import Strategy

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
