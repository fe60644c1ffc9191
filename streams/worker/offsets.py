"""The offsets of the events topic: what is done, committed now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from faust.types import TP

from streams.contracts.topics import EVENTS

_log = logging.getLogger(__name__)


class OffsetCommits:
    """The next offset of each partition, and what of that is not committed yet.

    One commit is under way at a time. It may never end: once Faust's consumer thread has left nobody answers. So it is
    waited for with a bound, and left alone after that.
    """

    def __init__(self, app: Any, every_seconds: float) -> None:
        self._app = app
        self._every_seconds = every_seconds
        self._done: dict[TP, int] = {}
        self._next: dict[int, int] = {}
        self._given = 0
        self._under_way: asyncio.Task[None] | None = None

    def begin(self, next_offsets: Mapping[int, int]) -> None:
        """The partitions are read from these offsets on."""
        self._next = dict(next_offsets)

    def next_offset(self, partition: int) -> int:
        """All before this offset is durable; 0 where nothing is known."""
        return self._next.get(partition, 0)

    def done(self, next_offsets: Mapping[int, int]) -> None:
        """All before these offsets is durable, by partition."""
        self._next.update(next_offsets)
        self._done.update({TP(EVENTS, partition): offset for partition, offset in next_offsets.items()})

    def forget(self) -> None:
        """The partitions are given away; what was not committed is read again by their next owner."""
        self._done = {}
        self._next = {}
        self._given += 1

    async def commit(self, seconds: float) -> bool:
        """Commit what is done; whether it ended in time."""
        if not await self._ended(seconds):
            return False
        if self._done and self._under_way is None:
            done, self._done = self._done, {}
            self._under_way = asyncio.create_task(self._commit(done))
        return await self._ended(seconds)

    async def commit_now_and_then(self) -> None:
        """Commit until cancelled."""
        while True:
            await asyncio.sleep(self._every_seconds)
            await self.commit(self._every_seconds)

    async def _commit(self, done: Mapping[TP, int]) -> None:
        given, is_committed = self._given, False
        try:
            is_committed = await self._app.consumer._commit(done)
        finally:
            if not is_committed and given == self._given:
                # They are committed with what comes next, unless the partitions are given away.
                self._done = {**done, **self._done}

    async def _ended(self, seconds: float) -> bool:
        """Whether no commit is under way any more, after so many seconds at most."""
        task = self._under_way
        if task is None:
            return True
        ended, _ = await asyncio.wait({task}, timeout=seconds)
        if ended and self._under_way is task:
            self._under_way = None
            if error := task.exception():
                _log.warning("offsets were not committed: %s", error)
        return bool(ended)
