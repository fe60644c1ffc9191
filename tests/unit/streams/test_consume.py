from streams.consume import Intake, Run
from streams.contracts.records import Record


def run(partition: int, first: int, count: int) -> Run:
    return Run(partition, 1, [Record(partition, first + n, None, b"", 0) for n in range(count)])


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
