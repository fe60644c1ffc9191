"""The order of a batch's work."""

from streams.account.batch import Agenda, BatchResult, Wake
from streams.account.codec import OutboxEntry
from tests.support.engine import record
from tests.support.factories import tick

RECORDS = [record(offset, b"B1", b"") for offset in range(3)]


def wakes(*names: str) -> list[Wake]:
    return [Wake(name, RECORDS[1], tick(1)) for name in names]


def test_whom_a_tick_wakes_comes_before_the_record_behind_it() -> None:
    agenda, order = Agenda(RECORDS), []
    while not agenda.is_done:
        item = agenda.next()
        order.append(item.borrower_id if isinstance(item, Wake) else item and item.offset)
        if item is RECORDS[1]:
            agenda.wake(wakes("a", "b"))
    assert order == [0, 1, "a", "b", 2]
    assert agenda.next() is None


def test_it_goes_back_to_where_it_was() -> None:
    agenda = Agenda(RECORDS)
    start = agenda.place
    agenda.next(), agenda.next()
    agenda.wake(wakes("a", "b"))
    agenda.next()
    middle = agenda.place
    assert start.is_before(middle)
    assert not middle.is_before(middle)
    agenda.next(), agenda.next()
    assert agenda.is_done
    assert middle.is_before(agenda.place)
    agenda.go_back(middle)
    assert [agenda.next(), agenda.next()] == [wakes("b")[0], RECORDS[2]]
    agenda.go_back(start)
    assert agenda.next() is RECORDS[0]


def test_results_add_up_and_the_later_row_stands() -> None:
    one, two = BatchResult(duplicates=1, scored=2), BatchResult(redelivered=3, labels=4)
    one.rows["B1"], two.rows["B1"] = (0, b"old"), (0, b"new")
    one.applied["loan_opened"] += 1
    two.applied["loan_opened"] += 2
    two.outgoing.append((0, OutboxEntry("action", 1, b"B1", b"")))
    one.add(two)
    assert (one.rows, one.applied["loan_opened"], len(one.outgoing)) == ({"B1": (0, b"new")}, 3, 1)
    assert (one.duplicates, one.scored, one.redelivered, one.labels) == (1, 2, 3, 4)
