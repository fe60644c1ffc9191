"""All that the console knows, in bounded memory, and how its link to Kafka stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from monitoring.console.action_log import ActionLog
from monitoring.console.portfolio import Portfolio
from monitoring.console.quality import Quality
from monitoring.console.stream_health import StreamHealth
from streams.config.settings import Settings

LinkState = Literal["connecting", "loading", "live", "away", "waiting", "failed"]


@dataclass(frozen=True)
class Link:
    """How the console stands to Kafka, since when, and what to tell of it.

    `loading` reads what was there before; `away` gets no answer; `waiting` misses topics; `failed` was refused, or
    the feed has ended.
    """

    state: LinkState
    since: datetime
    detail: str = ""


@dataclass
class Board:
    """The console's memory. `told_since` is when its records over time begin; None until the backlog is read.

    `has_ended` says that it stands still until a restart.
    """

    portfolio: Portfolio
    actions: ActionLog
    stream: StreamHealth
    quality: Quality
    link: Link
    told_since: datetime | None = None
    backlog_read: int = 0
    backlog: int = 0
    unreadable: int = 0
    has_ended: bool = False

    @classmethod
    def empty(cls, settings: Settings, now: datetime) -> Board:
        """Knows nothing yet, and keeps no more than the settings allow."""
        return cls(
            Portfolio(settings.console_borrowers),
            ActionLog(settings.console_actions),
            StreamHealth(),
            Quality(),
            Link("connecting", now),
        )

    def set_link(self, state: LinkState, now: datetime, detail: str = "") -> None:
        """Note how the link stands; its beginning stays while its state does."""
        since = self.link.since if self.link.state == state else now
        self.link = Link(state, since, detail)

    def end(self, now: datetime, why: str) -> None:
        """Note that nothing keeps the board current any more."""
        self.has_ended = True
        self.set_link("failed", now, why)

    def sample(self, now: float) -> None:
        """Add the present to all that is shown over time; `now` in seconds since 1970."""
        self.portfolio.sample(now)
        self.stream.sample(now, self.actions.latency(50, now), self.actions.latency(99, now))
