"""Whether Kafka answers, asked again and again beside the work: what health and metrics say of it."""

from __future__ import annotations

import asyncio
import logging

from aiokafka.errors import KafkaError

from monitoring import metrics
from streams.kafka.connection import Connection

_log = logging.getLogger(__name__)
_EVERY_SECONDS = 2.0
_PATIENCE_SECONDS = 5.0


class BrokerWatch:
    """`away` is true until Kafka has answered once, and whenever it does not answer now."""

    def __init__(self, kafka: Connection) -> None:
        self._kafka = kafka
        self.away = True

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                await self._ask()
            except (KafkaError, TimeoutError, OSError) as error:
                self._note(away=True)
                _log.warning("Kafka at %s does not answer: %s", self._kafka.bootstrap, error)
                await asyncio.sleep(_EVERY_SECONDS)

    async def _ask(self) -> None:
        admin = self._kafka.admin()
        try:
            await asyncio.wait_for(admin.start(), _PATIENCE_SECONDS)
            while True:
                await asyncio.wait_for(admin.describe_cluster(), _PATIENCE_SECONDS)
                self._note(away=False)
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            await admin.close()

    def _note(self, *, away: bool) -> None:
        if self.away and not away:
            _log.info("Kafka at %s answers", self._kafka.bootstrap)
        self.away = away
        metrics.BROKER_UP.set(not away)
