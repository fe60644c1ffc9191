"""What the engine remembers: which day was closed before a record, who wakes, what is counted."""

from streams.account.codec import KnownState, OutboxEntry, PartitionClock, decode_clock, encode
from streams.account.decision_state import DecisionState
from streams.account.loan import Account
from streams.account.memory import MOST_CLOSINGS, Memory
from streams.contracts.vocabulary import Segment, Strategy


def ticked(*ticks: tuple[int, int]) -> Memory:
    memory = Memory()
    for offset, day in ticks:
        memory.close_day(0, day, offset)
    return memory


def test_the_day_before_a_record_is_that_of_the_tick_before_it() -> None:
    memory = ticked((10, 700), (20, 701), (30, 705))
    asked = (5, 10, 11, 20, 25, 30, 31, 99)
    assert [memory.day_before(0, offset) for offset in asked] == [0, 0, 700, 700, 701, 701, 705, 705]
    restored = Memory()
    restored.begin([decode_clock(encode(memory.clock(0)))])
    assert [restored.day_before(0, offset) for offset in asked] == [0, 0, 700, 700, 701, 701, 705, 705]


def test_a_clock_of_an_older_version_knows_its_own_day_only() -> None:
    memory = Memory()
    memory.begin([PartitionClock(0, 700, 10)])
    assert memory.day_before(0, 5) == 700
    memory.close_day(0, 701, 20)
    assert [memory.day_before(0, offset) for offset in (5, 15, 25)] == [701, 700, 701]


def test_a_clock_remembers_a_bounded_past() -> None:
    memory = ticked(*((n, n) for n in range(1, 3 * MOST_CLOSINGS)))
    assert len(memory.clock(0).closings) == MOST_CLOSINGS
    assert memory.day_before(0, 3 * MOST_CLOSINGS - 1) == 3 * MOST_CLOSINGS - 2


def test_the_fate_of_a_tick_does_not_depend_on_when_it_is_told() -> None:
    memory = ticked((10, 700))
    assert memory.fate_of_tick(0, 700, 11) == "duplicate"
    assert memory.fate_of_tick(0, 701, 12) == "applied"
    memory.close_day(0, 701, 12)
    assert [memory.fate_of_tick(0, *tick) for tick in ((700, 10), (700, 11), (701, 12))] == [
        "redelivered",
        "duplicate",
        "redelivered",
    ]
    old = Memory()
    old.begin([PartitionClock(0, 701, 12)])
    assert old.fate_of_tick(0, 700, 10) == "redelivered"


def test_who_wakes_is_taken_out_once_and_put_back_by_an_undo() -> None:
    memory = Memory()
    for day, borrower_id in ((5, "b"), (6, "a"), (9, "c"), (0, "never")):
        memory.wake_on(0, day, borrower_id)
    memory.mark()
    memory.close_day(0, 7, 3)
    assert memory.waking(0, 7) == ["a", "b"]
    memory.undo()
    assert memory.clock(0) == PartitionClock(0, 0, -1)
    assert memory.waking(0, 9) == ["a", "b", "c"]
    memory.mark()
    memory.undo()
    assert memory.waking(0, 9) == []


def test_unsent_messages_are_given_once_and_only_those_that_are_delivered_again() -> None:
    memory = Memory()
    entries = [OutboxEntry("action", offset, b"B1", b"") for offset in (1, 2, 3, 4)]
    memory.keep_unsent(0, entries)
    assert memory.take_unsent(0, 2, 3) == entries[1:3]
    assert memory.take_unsent(0, 0, 9) == entries[3:]
    assert memory.take_unsent(1, 0, 9) == []


def test_a_borrower_is_counted_where_he_stands() -> None:
    memory = Memory()
    late = DecisionState(Strategy.SETTLEMENT, 0.6, (), 40, 500, segment=Segment.BALANCED)
    memory.count(None, late)
    assert (memory.portfolio["30-59", Strategy.SETTLEMENT], memory.arrears_minor["30-59"]) == (1, 500)
    gone = DecisionState(Strategy.NONE, has_open_loan=False, segment=Segment.BALANCED)
    memory.count(KnownState(Account("B1", 1), late, 0, 1), gone)
    assert {cell: count for cell, count in memory.portfolio.items() if count} == {("closed", Strategy.NONE): 1}
    assert memory.arrears_minor.total() == memory.segments.total() == 0
