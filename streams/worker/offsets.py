"""The offsets of the events topic: what is done, committed now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from faust.types import TP

from streams.contracts.topics import EVENTS


class OffsetCommits:
    """The next offset of each partition, and what of that is not committed yet."""

    def __init__(self, app: Any, every_seconds: float) -> None:
        self._app = app
        self._every_seconds = every_seconds
        self._done: dict[TP, int] = {}

    def done(self, next_offsets: Mapping[int, int]) -> None:
        """All before these offsets is durable, by partition."""
        self._done.update({TP(EVENTS, partition): offset for partition, offset in next_offsets.items()})

    def forget(self) -> None:
        """The partitions are given away; what was not committed is read again by their next owner."""
        self._done.clear()

    async def commit(self) -> None:
        """Commit what is done."""
        done, self._done = self._done, {}
        if done:
            await self._app.consumer._commit(done)

    async def commit_now_and_then(self, lock: asyncio.Lock) -> None:
        """Commit until cancelled."""
        while True:
            await asyncio.sleep(self._every_seconds)
            async with lock:
                await self.commit()
