"""The loop with a desk that decides and writes on command: what overlaps, and what is dropped when."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from streams.consume import BatchLoop, Decided, Intake, Run
from streams.contracts.records import Record
from streams.decide import BatchResult
from streams.write import OwnershipLostError


def run(partition: int, first: int, count: int) -> Run:
    records = [Record(partition, first + n, None, b"", 0) for n in range(count)]
    return Run(partition, 1, records, first, first + count)


def offsets(runs: list[Run]) -> list[tuple[int, int]]:
    return [(record.partition, record.offset) for each in runs for record in each.records]


def test_records_leave_in_the_order_in_which_they_came_and_a_run_that_is_too_long_is_parted() -> None:
    intake = Intake(100)
    intake.put(run(0, 0, 3))
    intake.put(run(1, 7, 4))
    intake.put(run(0, 3, 1))
    assert offsets(intake.take(5)) == [(0, 0), (0, 1), (0, 2), (1, 7), (1, 8)]
    assert offsets(intake.take(5)) == [(1, 9), (1, 10), (0, 3)]
    assert intake.take(5) == []


def test_a_partition_is_full_by_itself_until_enough_is_taken() -> None:
    intake = Intake(3)
    intake.put(run(0, 0, 4))
    assert intake.is_full(0)
    assert not intake.is_full(1)
    intake.take(2)
    assert not intake.is_full(0)


async def test_who_waits_for_room_goes_on_when_something_is_taken_or_forgotten() -> None:
    intake = Intake(1)
    intake.put(run(0, 0, 1))
    await intake.drained(0)
    assert intake.is_full(0)
    intake.clear()
    await intake.drained(0)
    assert not intake.is_full(0)
    intake.put(run(0, 0, 1))
    await intake.filled()


class Desk:
    """Decides and writes on command, and notes in which order that happens."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.error: Exception | None = None
        self.told: list[Exception] = []
        self.is_current_run = True

    def is_current(self, _run: Run) -> bool:
        return self.is_current_run

    async def decide(self, runs: Sequence[Run]) -> Decided:
        records = [record for each in runs for record in each.records]
        if records[0].value == b"poison":
            raise ValueError("cannot be decided")
        self.steps.append(f"decide {records[0].offset}")
        result = BatchResult(rows={"B1": (0, b"%d" % records[0].offset)})
        return Decided(runs, records, result, 0)

    async def write(self, decided: Decided) -> None:
        self.steps.append(f"write {decided.records[0].offset}")
        await self.may_write.wait()
        if self.error:
            raise self.error
        self.steps.append(f"written {decided.records[0].offset}")

    async def lost(self, _decided: Decided, error: OwnershipLostError) -> None:
        self.told.append(error)

    async def failed(self, error: Exception) -> None:
        self.told.append(error)


def opened_loop(desk: Desk, intake: Intake | None = None) -> BatchLoop:
    loop = BatchLoop(intake or Intake(100), desk, 10, 0)
    loop.open()
    return loop


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0)


async def test_the_next_batch_is_decided_on_the_rows_of_the_one_that_is_being_written() -> None:
    desk = Desk()
    loop = opened_loop(desk)
    desk.may_write.clear()
    await loop.take([run(0, 1, 1)])
    second = asyncio.create_task(loop.take([run(0, 2, 1)]))
    await until(lambda: "decide 2" in desk.steps)
    assert loop.ahead == {"B1": (0, b"1")}
    assert not second.done()
    assert desk.steps == ["decide 1", "write 1", "decide 2"]
    desk.may_write.set()
    await second
    await loop.written()
    assert desk.steps == ["decide 1", "write 1", "decide 2", "written 1", "write 2", "written 2"]
    assert loop.batch_started is None


@pytest.mark.parametrize("error", [OwnershipLostError("another's"), ValueError("disk full")])
async def test_a_batch_decided_on_rows_that_were_not_written_is_dropped(error: Exception) -> None:
    desk = Desk()
    loop = opened_loop(desk)
    desk.error = error
    desk.may_write.clear()
    await loop.take([run(0, 1, 1)])
    second = asyncio.create_task(loop.take([run(0, 2, 1)]))
    await until(lambda: "decide 2" in desk.steps)
    desk.may_write.set()
    await second
    await loop.take([run(0, 3, 1)])
    assert desk.steps == ["decide 1", "write 1", "decide 2"]
    assert desk.told == [error]
    assert not loop.is_open
    assert loop.failed == isinstance(error, ValueError)


async def test_after_a_lost_partition_it_goes_on_when_it_is_loaded_anew_and_after_a_failure_never() -> None:
    desk = Desk()
    loop = opened_loop(desk)
    desk.error = OwnershipLostError("another's")
    await loop.take([run(0, 1, 1)])
    await loop.written()
    desk.error = None
    loop.open()
    assert loop.ahead == {}
    await loop.take([run(0, 1, 1)])
    await loop.written()
    assert desk.steps[-1] == "written 1"

    await loop.take([Run(0, 1, [Record(0, 2, None, b"poison", 0)], 2, 3)])
    assert [str(each) for each in desk.told] == ["another's", "cannot be decided"]
    loop.open()
    assert (loop.is_open, loop.failed) == (False, True)


async def test_what_was_fetched_before_a_rebalance_is_left_to_its_owner() -> None:
    desk = Desk()
    loop = opened_loop(desk)
    desk.is_current_run = False
    await loop.take([run(0, 1, 1)])
    assert desk.steps == []


async def test_closing_waits_for_the_batch_in_flight_as_long_as_its_caller_likes() -> None:
    desk = Desk()
    loop = opened_loop(desk)
    desk.may_write.clear()
    await loop.take([run(0, 1, 1)])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(loop.close(), 0.01)
    assert not loop.is_open
    loop.open()
    await loop.take([run(0, 1, 1)])
    desk.may_write.set()
    await loop.close()
    assert not loop.is_open
    await loop.take([run(0, 2, 1)])
    assert desk.steps == ["decide 1", "write 1"] * 2 + ["written 1"]


async def test_it_takes_what_comes_in_until_it_is_cancelled() -> None:
    desk, intake = Desk(), Intake(100)
    loop = opened_loop(desk, intake)
    working = asyncio.create_task(loop.run())
    intake.put(run(0, 0, 15))
    await until(lambda: "written 10" in desk.steps)
    assert [each for each in desk.steps if each.startswith("decide")] == ["decide 0", "decide 10"]
    working.cancel()


def test_a_batch_knows_which_offsets_it_covers() -> None:
    runs = [run(0, 5, 2), run(1, 0, 1), run(0, 9, 3)]
    assert Decided(runs, [], BatchResult(), 0).spans() == {0: range(5, 12), 1: range(1)}


def test_large_records_fill_a_partition_sooner_and_room_comes_back() -> None:
    intake = Intake(200)
    records = [Record(0, n, None, bytes(1 << 20), 0) for n in range(3)]
    for _ in range(50):
        intake.put(Run(0, 1, records, 0, 3))
        assert intake.is_full(0)
        intake.take(2)
        assert not intake.is_full(0)
        intake.take(1)
    assert not intake.is_full(0)


def test_what_is_between_records_stays_with_the_parts_of_a_run() -> None:
    intake = Intake(100)
    intake.put(Run(0, 1, [Record(0, n, None, b"", 0) for n in (4, 6, 9)], 2, 12))
    intake.put(Run(0, 1, [], 12, 15))
    assert [(each.start, each.stop) for each in intake.take(1)] == [(2, 6)]
    assert [(each.start, each.stop) for each in intake.take(5)] == [(6, 12), (12, 15)]
