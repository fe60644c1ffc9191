"""The engine without Kafka: offsets as a topic would give them, a table that is kept current."""

from streams.contracts.records import Record
from streams.decide import Rules
from streams.history.offline import number_offsets, run_offline
from streams.score import ModelSet
from tests.support.engine import stamp
from tests.support.factories import day, opened, payment, tick


def test_offsets_count_up_on_each_partition() -> None:
    messages = [(None, b"a", b"1"), (1, None, b"2"), (None, b"b", b"3"), (None, b"a", b"4")]
    numbered = list(number_offsets(messages, lambda key: int(key == b"b"), 7))
    assert numbered == [
        Record(0, 0, b"a", b"1", 7),
        Record(1, 0, None, b"2", 7),
        Record(1, 1, b"b", b"3", 7),
        Record(0, 1, b"a", b"4", 7),
    ]


def test_what_a_batch_decided_is_in_the_table() -> None:
    table: dict[str, bytes] = {}
    events = [(b"B1", opened()), (b"B1", payment(31)), (None, tick(40))]
    records = [Record(0, at, key, event.to_json(), stamp(day(50))) for at, (key, event) in enumerate(events)]
    (result,) = run_offline(records, ModelSet(None), Rules(), table)
    assert result.applied.total() == 3
    assert table == {key: row for key, (_, row) in result.rows.items()}
    assert set(table) == {"B1", "\x00clock/0"}


def test_events_on_a_partition_that_is_not_their_borrowers_are_refused() -> None:
    records = [Record(0, 0, b"B1", opened().to_json(), stamp(day(50)))]
    (result,) = run_offline(records, ModelSet(None), Rules(), {}, lambda _: 1)
    assert [letter.reason for letter in result.dead_letters] == ["wrong_partition"]
