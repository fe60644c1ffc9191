"""A borrower's past for the page that looks at it: read when asked for, and again when the borrower's row changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from monitoring.console import views
from monitoring.console.board import Board
from monitoring.console.live import REFRESH_SECONDS, Shared, event
from streams.config.settings import Settings
from streams.contracts.topics import changelog_name
from streams.history.describe import describe
from streams.history.read import UnknownBorrowerError, read_history
from streams.kafka.admin import TopicError
from streams.kafka.connection import BrokerAwayError

_log = logging.getLogger(__name__)
_UNREAD = -2


class BorrowerPages:
    """Follows borrowers for any number of pages. One past is read at a time: many readers do not add up to a load."""

    def __init__(self, settings: Settings, board: Board, shared: Shared) -> None:
        self._settings = settings
        self._board = board
        self._shared = shared
        self._reading = asyncio.Lock()

    async def follow(self, borrower_id: str, goes_on: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Events for one page: the status every second, and the borrower whenever it was read anew."""
        told: dict[str, Any] = {"state": "reading" if borrower_id else "none"}
        reading: asyncio.Task[dict[str, Any]] | None = None
        read_at, pause = _UNREAD, 0.0
        try:
            while goes_on():
                if told:
                    yield event({"status": views.status(self._board, datetime.now(UTC)), **told})
                else:
                    yield self._shared.get("status", self._status)
                # Only what is new: the past is large, and the page keeps what it was told.
                told = {}
                if borrower_id and reading is None and self._is_due(borrower_id, read_at, pause):
                    read_at, pause = self._newest_row(borrower_id), time.monotonic()
                    reading = asyncio.create_task(self._read(borrower_id))
                if reading is None:
                    await asyncio.sleep(REFRESH_SECONDS)
                elif (await asyncio.wait([reading], timeout=REFRESH_SECONDS))[0]:
                    told, reading = reading.result(), None
                    read_at = _UNREAD if told["state"] == "failed" else read_at
                    # A long scan leaves the machine as much time again to itself.
                    pause = 2 * time.monotonic() - pause + REFRESH_SECONDS
        finally:
            if reading is not None:
                reading.cancel()

    def _status(self) -> bytes:
        return event({"status": views.status(self._board, datetime.now(UTC))})

    def _is_due(self, borrower_id: str, read_at: int, pause: float) -> bool:
        is_newer = self._newest_row(borrower_id) != read_at
        return is_newer and self._board.link.state == "live" and time.monotonic() >= pause

    def _newest_row(self, borrower_id: str) -> int:
        """The offset of the borrower's newest row; -1 if none is known."""
        place = self._board.portfolio.place(borrower_id)
        return place.offset if place else -1

    async def _read(self, borrower_id: str) -> dict[str, Any]:
        portfolio, settings = self._board.portfolio, self._settings
        place = portfolio.place(borrower_id)
        if place is None and not portfolio.is_full:
            return {"state": "unknown"}
        row_at = TopicPartition(changelog_name(settings.application), place.partition) if place else None
        try:
            async with self._reading:
                history = await read_history(
                    settings.kafka,
                    settings.application,
                    settings.rules(),
                    borrower_id,
                    settings.history_records,
                    row_at,
                    place.offset if place else 0,
                )
        except UnknownBorrowerError:
            return {"state": "unknown"}
        except (KafkaError, BrokerAwayError, TopicError) as error:
            _log.warning("the past of a borrower cannot be read: %s", error)
            return {"state": "failed", "detail": str(error)}
        return {"state": "known", "borrower": describe(history, settings.rules().account)}
