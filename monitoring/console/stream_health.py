"""How the stream itself does: rates, lag, the worker group, dead letters."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from monitoring.console.series import Number, Series
from streams.kafka.dead_letters import FiledLetter
from streams.kafka.group import GroupProgress

_DEAD_LETTERS = 200
_POLLS = 6
# More than riskmon has; a stranger's message may name any.
_REASONS, _LONGEST_REASON = 100, 100


class _Poll(NamedTuple):
    at: float
    published: int
    processed: int


class StreamHealth:
    """What the last look at the topic and the group gave, and the same over time."""

    def __init__(self) -> None:
        self.ends: dict[int, int] = {}
        self.group = GroupProgress("unknown", 0, {})
        self.dead_letters: Counter[str] = Counter()
        self.replayed = 0
        # Without key and value, which may be personal.
        self.newest_dead_letters: deque[FiledLetter] = deque(maxlen=_DEAD_LETTERS)
        self.series = Series(("time", "published", "processed", "lag", "p50", "p99"))
        self._polls: deque[_Poll] = deque(maxlen=_POLLS)

    def take_progress(self, ends: Mapping[int, int], group: GroupProgress, now: float) -> None:
        """Where the events topic ends by partition, and how far the workers are; `now` in seconds since 1970."""
        self.ends, self.group = dict(ends), group
        self._polls.append(_Poll(now, sum(ends.values()), sum(group.committed.values())))

    def take_dead_letter(self, letter: FiledLetter) -> None:
        """A message that could not be processed."""
        is_known = letter.reason in self.dead_letters or len(self.dead_letters) < _REASONS
        self.dead_letters[letter.reason[:_LONGEST_REASON] if is_known else "other"] += 1
        self.newest_dead_letters.appendleft(replace(letter, key=None, value=None))

    def sample(self, now: float, p50: Number, p99: Number) -> None:
        """Add the present numbers to the series; latencies in seconds."""
        self.series.add(now, *self.rates, sum(self.lag.values()), p50, p99)

    @property
    def rates(self) -> tuple[float, float]:
        """Records published and processed a second, over the last looks."""
        if not self._polls:
            return 0.0, 0.0
        first, last = self._polls[0], self._polls[-1]
        seconds = last.at - first.at
        # A clock that was set back is waited out.
        if seconds <= 0:
            return 0.0, 0.0
        return (last.published - first.published) / seconds, (last.processed - first.processed) / seconds

    @property
    def lag(self) -> dict[int, int]:
        """Records not yet processed, by partition."""
        return {part: max(end - self.group.committed.get(part, 0), 0) for part, end in self.ends.items()}
