"""The newest actions, and how long after their event they came."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from streams.contracts.actions import Action
from streams.contracts.vocabulary import Strategy

_LATENCIES = 5_000
_LATENCY_SECONDS = 60


@dataclass(frozen=True)
class ActionFilter:
    """What a reader wants to see; an empty field wants all. Texts match any part, in any case."""

    strategy: Strategy | None = None
    borrower: str = ""
    text: str = ""

    def takes(self, action: Action) -> bool:
        """Whether the action is wanted."""
        if self.strategy not in (None, action.strategy) or self.borrower.lower() not in action.borrower_id.lower():
            return False
        return not self.text or self.text.lower() in _words(action)


def _words(action: Action) -> str:
    return " ".join(
        (
            action.borrower_id,
            action.loan_id,
            action.event_type,
            action.previous_strategy.value,
            action.strategy.value,
            action.segment or "",
            *(reason.text for reason in action.reasons),
        )
    ).lower()


class ActionLog:
    """At most `most` actions, each once by its id, in the order in which they came."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.total = 0
        self._actions: OrderedDict[str, Action] = OrderedDict()
        self._latencies: deque[tuple[float, float]] = deque(maxlen=_LATENCIES)

    def take(self, action: Action, written: float) -> None:
        """An action with its Kafka timestamp, seconds since 1970; a repeat changes nothing."""
        if action.action_id in self._actions:
            return
        self.total += 1
        self._actions[action.action_id] = action
        self._latencies.append((written, written - action.published_at.timestamp()))
        if len(self._actions) > self.most:
            self._actions.popitem(last=False)

    def in_order_of_decision(self) -> None:
        """Sort what is there: a backlog comes partition by partition."""
        self._actions = OrderedDict(sorted(self._actions.items(), key=lambda each: each[1].decided_at))

    def newest_first(self) -> Iterator[Action]:
        """The actions kept."""
        return reversed(self._actions.values())

    def latency(self, percentile: float, now: float) -> float | None:
        """Seconds from publication to the action, over the last minute's actions; None if there was none."""
        recent = [seconds for at, seconds in self._latencies if at > now - _LATENCY_SECONDS]
        return float(np.percentile(recent, percentile)) if recent else None
