"""From fetched records to batches: the next batch is decided while the one before it is being written.

In: runs of records as they are fetched, by `Intake.put`. Out: decided batches, one after another, to a writer.
Next: `streams/decide.py` decides a batch, `streams/write.py` makes it durable.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Mapping, Sequence
from typing import NamedTuple, Protocol

from streams.contracts.records import Record
from streams.decide import BatchResult
from streams.write import OwnershipLostError

_log = logging.getLogger(__name__)


# Records that wait count by their size, too: so many bytes as one more record.
_BYTES_A_RECORD = 8 << 10


class Run(NamedTuple):
    """All records of one partition from `start` to before `stop`, fetched under one generation of the consumer group.

    There may be fewer than offsets, even none: markers of transactions and what was aborted are not for us.
    """

    partition: int
    generation: int
    records: list[Record]
    start: int
    stop: int

    def parted(self, most: int) -> tuple[Run, Run]:
        """Its first `most` records, and the rest, which must be there."""
        at = self.records[most].offset
        return self._replace(records=self.records[:most], stop=at), self._replace(records=self.records[most:], start=at)

    def weight(self) -> int:
        """How many usual records it weighs as much as."""
        return len(self.records) + sum([len(each.value) // _BYTES_A_RECORD for each in self.records if each.value])


class Decided(NamedTuple):
    """A batch with its decisions, none of them written yet; `started` is a `perf_counter`."""

    runs: Sequence[Run]
    records: Sequence[Record]
    result: BatchResult
    started: float

    def spans(self) -> dict[int, range]:
        """The offsets that the batch covers, by partition."""
        spans: dict[int, range] = {}
        for run in self.runs:
            first = spans[run.partition].start if run.partition in spans else run.start
            spans[run.partition] = range(first, run.stop)
        return spans


class Intake:
    """What was fetched and not yet taken, in order; a partition with `most_waiting` records or more is full.

    Large records count as several, so that what waits has a bound in bytes as well.
    """

    def __init__(self, most_waiting: int) -> None:
        self._most_waiting = most_waiting
        self._runs: deque[Run] = deque()
        self._waiting: Counter[int] = Counter()
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()

    def put(self, run: Run) -> None:
        """Add a run behind all others."""
        self._runs.append(run)
        self._waiting[run.partition] += run.weight()
        self._filled.set()

    async def filled(self) -> None:
        """Wait until there is something to take."""
        await self._filled.wait()

    def take(self, most: int) -> list[Run]:
        """Take out up to `most` records, oldest run first; what is left of a run goes first next time."""
        taken: list[Run] = []
        while self._runs and most > 0:
            run = self._runs.popleft()
            if len(run.records) > most:
                run, rest = run.parted(most)
                self._runs.appendleft(rest)
            taken.append(run)
            most -= len(run.records)
            self._waiting[run.partition] -= run.weight()
        if not self._runs:
            self._filled.clear()
        self._drained.set()
        return taken

    def clear(self) -> None:
        """Forget what is waiting: after a rebalance it is fetched again by its partition's owner."""
        self._runs.clear()
        self._waiting.clear()
        self._filled.clear()
        self._drained.set()

    def is_full(self, partition: int) -> bool:
        """Whether the partition should not be fetched from for now."""
        return self._waiting[partition] >= self._most_waiting

    async def drained(self, seconds: float) -> None:
        """Wait until something is taken, so long at most."""
        self._drained.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._drained.wait()
        except TimeoutError:
            return


class Work(Protocol):
    """What the loop does with runs, and whom it tells of trouble."""

    def is_current(self, run: Run) -> bool:
        """Whether the run was fetched since the last rebalance; what is older is its owner's to fetch again."""

    async def decide(self, runs: Sequence[Run]) -> Decided:
        """Decide a batch; its rows are not in the table yet."""

    async def write(self, decided: Decided) -> None:
        """Make a batch durable. Raises `OwnershipLostError` if it does not count."""

    async def lost(self, decided: Decided, error: OwnershipLostError) -> None:
        """A batch did not count; nothing more is decided until the loop is opened again."""

    async def failed(self, error: Exception) -> None:
        """A batch failed; nothing more is ever decided, the process has to end."""


class BatchLoop:
    """Takes runs from the intake and works through them while it is open.

    `lock` is held while a batch is decided, so that who holds it sees no decision half made. `failed` never falls back.
    """

    def __init__(self, intake: Intake, work: Work, most_records: int, least_seconds: float) -> None:
        self._intake = intake
        self._work = work
        self._most_records = most_records
        self._least_seconds = least_seconds
        self._writing: asyncio.Task[None] | None = None
        self.lock = asyncio.Lock()
        self.is_open = False
        self.failed = False
        # Rows of the batch that is being written, by key: decisions build on them before the table has them.
        self.ahead: Mapping[str, tuple[int, bytes]] = {}
        self._deciding_since: float | None = None
        self._writing_since: float | None = None

    def open(self) -> None:
        """Begin to decide: the engine's memory is that of the table. Not after a failure."""
        self.ahead = {}
        self.is_open = not self.failed

    def fail(self) -> None:
        """Never decide again."""
        self.is_open, self.failed = False, True

    async def run(self) -> None:
        """Work through batches until cancelled."""
        while True:
            await self._intake.filled()
            started = time.monotonic()
            async with self.lock:
                await self.take(self._intake.take(self._most_records))
            # The first record after a pause is worked on at once; then others gather, so batches grow with the load.
            await asyncio.sleep(max(started + self._least_seconds - time.monotonic(), 0))

    async def take(self, runs: Sequence[Run]) -> None:
        """Decide a batch while the one before it is being written, then begin to write it; the lock is held."""
        current = [run for run in runs if self.is_open and self._work.is_current(run)]
        if not current:
            return
        self._deciding_since = began = time.monotonic()
        try:
            decided = await self._work.decide(current)
        except Exception as error:
            await self._fail(error)
            return
        await self.written()
        self._deciding_since = None
        # Had that failed, the engine would have decided on rows that are not in the table.
        if self.is_open:
            self.ahead = decided.result.rows
            self._writing_since = began
            self._writing = asyncio.create_task(self._write(decided))

    @property
    def batch_started(self) -> float | None:
        """When the oldest batch in work was begun, by `time.monotonic`; None between batches.

        One that failed counts as in work: it never ends.
        """
        writing, deciding = self._writing_since, self._deciding_since
        return deciding if writing is None else writing

    async def written(self) -> None:
        """Wait for the batch that is being written, if one is."""
        writing, self._writing = self._writing, None
        if writing:
            await writing

    async def close(self) -> None:
        """Let the batch in flight end, and decide no other until the loop is opened again."""
        try:
            async with self.lock:
                await self.written()
        finally:
            self.is_open = False

    async def _write(self, decided: Decided) -> None:
        try:
            await self._work.write(decided)
        except OwnershipLostError as error:
            # The engine has gone ahead of the table: it waits to be loaded anew.
            self.is_open = False
            await self._tell(self._work.lost(decided, error))
        except Exception as error:
            await self._fail(error)
        finally:
            self._writing_since = None

    async def _fail(self, error: Exception) -> None:
        """A batch left half done must not be skipped: the process ends, and its restart reads the batch again."""
        self.fail()
        await self._tell(self._work.failed(error))

    async def _tell(self, telling: Awaitable[None]) -> None:
        try:
            await telling
        except Exception:
            _log.exception("the worker could not be told of its batch")
