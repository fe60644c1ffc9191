"""The terminal view of the demo: what it shows and the summary it leaves."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from monitoring.terminal.scrape import Samples
from monitoring.terminal.text import shown
from streams.contracts.actions import Action
from streams.contracts.vocabulary import BUCKETS

STRATEGIES = ("automated_reminder", "settlement_offer", "aggressive_recovery", "none")
_COLOUR = {"automated_reminder": "green", "settlement_offer": "yellow", "aggressive_recovery": "red", "none": "dim"}


@dataclass
class DemoView:
    """What is known so far: counts from the worker's metrics, actions as the topic delivered them."""

    metrics: Samples = field(default_factory=dict)
    published: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    newest: deque[Action] = field(default_factory=lambda: deque(maxlen=8))
    latencies: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    drained: float | None = None
    _marks: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=10))

    def note_published(self, count: int) -> None:
        """`count` messages are published by now."""
        self.published = count

    def note_action(self, action: Action, received: float) -> None:
        """An action came off the topic at `received` (seconds since 1970); each is told once."""
        self.actions[action.strategy.value] += 1
        self.newest.appendleft(action)
        self.latencies.append(received - action.published_at.timestamp())

    def note_metrics(self, samples: Samples) -> None:
        """A scrape of the worker; an empty one (it is starting) changes nothing."""
        if samples:
            self.metrics = samples
            self._marks.append((time.monotonic(), self.processed()))

    def stop(self, samples: Samples) -> None:
        """The last scrape, when all is over."""
        self.metrics = samples or self.metrics
        self.drained = self.drained or time.monotonic()

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        wanted = set(labels.items())
        return sum(value for (each, found), value in self.metrics.items() if each == name and wanted <= set(found))

    def processed(self) -> float:
        """Messages that ended as applied, duplicate or dead letter."""
        names = ("riskmon_events_total", "riskmon_duplicate_events_total", "riskmon_dead_letters_total")
        return sum(self.total(name) for name in names)

    def events_per_second(self) -> float:
        """Over the last scrapes, or over the whole run once it is drained."""
        if self.drained is not None:
            return self.processed() / max(self.drained - self.started, 1e-9)
        if len(self._marks) < 2:
            return 0.0
        (first, before), (last, now) = self._marks[0], self._marks[-1]
        return (now - before) / (last - first)

    def latency_ms(self, percentile: float) -> float | None:
        """Publish to action as a consumer of the actions topic sees it, milliseconds; None before the first."""
        return float(np.percentile(self.latencies, percentile)) * 1000 if self.latencies else None

    def summary(self) -> dict[str, Any]:
        """The run in numbers, as the demo's `--summary` writes it."""
        p50, p99 = self.latency_ms(50), self.latency_ms(99)
        return {
            "events": {
                "published": self.published,
                "applied": int(self.total("riskmon_events_total")),
                "applied_by_type": {
                    dict(labels)["type"]: int(value)
                    for (name, labels), value in self.metrics.items()
                    if name == "riskmon_events_total"
                },
                "duplicates": int(self.total("riskmon_duplicate_events_total")),
            },
            "dead_letters": int(self.total("riskmon_dead_letters_total")),
            "actions": {each: self.actions[each] for each in STRATEGIES},
            "borrowers": {each: int(self.total("riskmon_borrowers", bucket=each)) for each in BUCKETS},
            "labels": int(self.total("riskmon_labels_total")),
            "events_per_second": round(self.events_per_second(), 1),
            "publish_to_action_ms": {
                "p50": None if p50 is None else round(p50, 1),
                "p99": None if p99 is None else round(p99, 1),
            },
        }


def render(view: DemoView) -> RenderableType:
    """The whole screen."""
    return Group(_stream(view), _portfolio(view), _actions(view))


def _stream(view: DemoView) -> Panel:
    p50, p99 = view.latency_ms(50), view.latency_ms(99)
    numbers = [
        ("published", f"{view.published:,}"),
        ("processed", f"{view.processed():,.0f}"),
        ("events/s", f"{view.events_per_second():,.0f}"),
        ("lag", f"{view.total('riskmon_lag_records'):,.0f}"),
        ("duplicates", f"{view.total('riskmon_duplicate_events_total'):,.0f}"),
        ("dead letters", f"{view.total('riskmon_dead_letters_total'):,.0f}"),
        ("labels learnt", f"{view.total('riskmon_online_model_labels'):,.0f}"),
        ("publish→action p50", "-" if p50 is None else f"{p50:,.0f} ms"),
        ("p99", "-" if p99 is None else f"{p99:,.0f} ms"),
    ]
    return Panel("   ".join(f"{name} [bold]{value}[/]" for name, value in numbers), title="riskmon: stream")


def _portfolio(view: DemoView) -> Table:
    table = Table("strategy", *BUCKETS, "all", title="borrowers by strategy and days past due", expand=True)
    for strategy in STRATEGIES:
        counts = [view.total("riskmon_borrowers", bucket=each, strategy=strategy) for each in BUCKETS]
        colour = _COLOUR[strategy]
        table.add_row(f"[{colour}]{strategy}[/]", *(f"{each:,.0f}" for each in counts), f"{sum(counts):,.0f}")
    return table


def _actions(view: DemoView) -> Table:
    table = Table("borrower", "change", "score", "DPD", "why", title="newest actions", expand=True)
    for action in view.newest:
        strategy = action.strategy.value
        table.add_row(
            shown(action.borrower_id),
            Text.assemble(f"{action.previous_strategy.value} → ", (strategy, _COLOUR[strategy])),
            "-" if action.score is None else f"{action.score:.2f}",
            str(action.days_past_due),
            shown("; ".join(reason.text for reason in action.reasons)),
        )
    return table
