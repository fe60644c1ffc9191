"""Whether Kafka answers, asked again and again beside the work: what health and metrics say of it."""

from __future__ import annotations

import asyncio
import logging
import time

from monitoring import metrics
from streams.kafka.connection import Connection
from streams.kafka.retry import retried

_log = logging.getLogger(__name__)
_EVERY_SECONDS = 2.0
_PATIENCE_SECONDS = 5.0


class BrokerWatch:
    """`away` is true until Kafka has answered once, and whenever it does not answer now."""

    def __init__(self, kafka: Connection) -> None:
        self._kafka = kafka
        self._answering_since = 0.0
        self.away = True

    def stands_still(self, since: float | None, seconds: float) -> bool:
        """Whether work begun at `since` (`time.monotonic`; None: there is none) takes longer than that.

        While Kafka is away work waits for it, and a restart would not help; nor does that time count.
        """
        if since is None or self.away:
            return False
        return time.monotonic() - max(since, self._answering_since) > seconds

    async def run(self) -> None:
        """Ask until cancelled."""
        await retried(self._ask, self._note_silence)

    async def _ask(self) -> None:
        admin = self._kafka.admin()
        try:
            await asyncio.wait_for(admin.start(), _PATIENCE_SECONDS)
            while True:
                await asyncio.wait_for(admin.describe_cluster(), _PATIENCE_SECONDS)
                if self.away:
                    _log.info("Kafka at %s answers", self._kafka.bootstrap)
                    self._answering_since = time.monotonic()
                self._note(away=False)
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            await admin.close()

    def _note_silence(self, error: BaseException) -> None:
        self._note(away=True)
        _log.warning("Kafka at %s does not answer: %s", self._kafka.bootstrap, error)

    def _note(self, *, away: bool) -> None:
        self.away = away
        metrics.BROKER_UP.set(not away)
