"""The account table on Faust's own stores, and what riskmon relies on of Faust 0.15.3's insides."""

import inspect
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import mode
import pytest
from faust.stores import memory, rocksdb
from faust.tables.recovery import Recovery
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.account.changelog import claim_key, standing_on
from streams.account.codec import BorrowerState, PartitionClock, encode
from streams.account.decision_state import DecisionState
from streams.account.loan import Account
from streams.kafka.changelog import LogRecord, Row
from streams.worker.app import ROCKSDB_OPTIONS
from streams.worker.shutdown import BoundedWorker
from streams.worker.table import AccountsTable


def new_table(store: str, folder: Path) -> AccountsTable:
    app = faust.App("t", store=f"{store}://", Table=AccountsTable, datadir=folder, autodiscover=False)
    options = dict(ROCKSDB_OPTIONS) if store == "rocksdb" else None
    table: AccountsTable = app.Table("accounts", partitions=2, key_type=bytes, value_type=bytes, options=options)
    actives = {TP(table.changelog_topic_name, number) for number in (0, 1)}
    app.assignor.assigned_actives = lambda: actives
    return table


@pytest.fixture(params=["memory", "rocksdb"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> AccountsTable:
    return new_table(request.param, tmp_path)


def state(name: str, applied: int, partition: int = 0, gone: int = 0) -> bytes:
    return encode(BorrowerState(Account(name, as_of=gone), DecisionState(), partition, applied))


def record(
    offset: int, key: bytes | None, value: bytes | None, claim: int | None = None, partition: int = 0
) -> LogRecord:
    return LogRecord(partition, offset, key, value, () if claim is None else standing_on(claim))


def claim(offset: int, partition: int = 0) -> LogRecord:
    return LogRecord(partition, offset, claim_key(partition), b"somebody", ())


def feed(table: AccountsTable, *records: LogRecord) -> None:
    """As Faust's recovery gives them."""
    events = []
    for each in records:
        tp = TP(table.changelog_topic_name, each.partition)
        message = SimpleNamespace(
            tp=tp,
            partition=each.partition,
            offset=each.offset,
            key=each.key,
            value=each.value,
            headers=list(each.headers),
        )
        events.append(SimpleNamespace(message=message, key=each.key, value=each.value))
    table.apply_changelog_batch(events)


def keys_of(rows: Sequence[Row]) -> list[bytes]:
    return [row.key for row in rows]


def test_rows_behind_another_claim_are_not_taken_and_are_named_as_overtaken(table: AccountsTable) -> None:
    feed(table, claim(0), record(1, b"B1", state("B1", 5), 0), claim(2), record(3, b"B1", state("B1", 6), 2))
    feed(table, record(4, b"B1", state("B1", 9), 0), record(5, b"B2", state("B2", 9), 0))
    assert table.row(b"B1") == state("B1", 6)
    assert table.row(b"B2") is None
    assert table.overtaken([0]) == [Row(0, b"B1", state("B1", 6)), Row(0, b"B2", None)]
    assert table.overtaken([1]) == []
    table.write([record(6, b"B1", state("B1", 6), 2), record(7, b"B2", None, 2)])
    assert table.overtaken([0]) == []
    assert list(table.states()) == [state("B1", 6)]
    assert table.next_offset(0) == 8


def test_rows_of_before_there_were_claims_give_way_to_those_that_have_gone_further(table: AccountsTable) -> None:
    feed(table, record(0, b"B1", state("B1", 7)), record(1, b"B1", state("B1", 5)), record(2, b"B2", state("B2", 1)))
    assert table.row(b"B1") == state("B1", 7)
    assert keys_of(table.overtaken([0])) == [b"B1"]
    # Of two that have gone equally far the first counts; it is put right by being repeated.
    feed(table, record(3, b"B1", state("B1", 7, gone=1)), record(4, b"B1", state("B1", 7)))
    assert table.row(b"B1") == state("B1", 7)
    assert table.overtaken([0]) == []


def test_tombstones_remove_and_what_is_no_row_is_passed_over(table: AccountsTable) -> None:
    clock = encode(PartitionClock(0, 9, 3))
    feed(table, record(0, b"B1", state("B1", 1)), record(1, b"\x00clock/0", clock), record(2, b"B2", state("B2", 1)))
    feed(table, record(3, b"B1", None), record(4, None, b"x"), record(5, b"B3", None))
    assert list(table.states()) == [state("B2", 1)]
    assert list(table.clocks()) == [clock]
    assert table.next_offset(0) == 6
    feed(table, record(6, b"B1", state("B1", 2)))
    assert table.row(b"B1") == state("B1", 2)


def test_what_was_taken_once_is_not_taken_again_when_faust_goes_back(table: AccountsTable) -> None:
    """As after a rebalance that leaves it the partition: Faust knows nothing of the worker's own writes."""
    feed(table, claim(0), record(1, b"B1", state("B1", 1), 0))
    table.take([claim(2)])
    table.write([record(3, b"B1", state("B1", 2), 2), record(4, b"B1", state("B1", 3), 2)])
    feed(table, claim(2), record(3, b"B1", state("B1", 2), 2), record(4, b"B1", state("B1", 3), 2))
    assert table.row(b"B1") == state("B1", 3)
    assert table.overtaken([0]) == []
    assert table.next_offset(0) == 5


async def test_a_store_in_memory_begins_anew_where_faust_does(tmp_path: Path) -> None:
    table = new_table("memory", tmp_path)
    log = [claim(0), record(1, b"B1", state("B1", 1), 0), record(2, b"B2", state("B2", 2), 0)]
    feed(table, *log)
    # A standby copy is dropped by Faust at the end of a recovery, and goes on from where it was.
    await table.on_recovery_completed({TP(table.changelog_topic_name, 1)}, set())
    assert list(table.states()) == []
    feed(table, record(3, b"B3", state("B3", 3), 0))
    # When it becomes active Faust begins at the beginning.
    feed(table, *log, record(3, b"B3", state("B3", 3), 0))
    assert sorted(table.states()) == [state("B1", 1), state("B2", 2), state("B3", 3)]
    assert table.next_offset(0) == 4


def test_the_disk_store_says_how_far_it_has_read_also_past_what_does_not_count(tmp_path: Path) -> None:
    table = new_table("rocksdb", tmp_path)
    tp = TP(table.changelog_topic_name, 0)
    feed(table, claim(0), record(1, b"B1", state("B1", 1), 0), claim(2), record(3, b"B1", state("B1", 2), 0))
    assert table.persisted_offset(tp) == 3
    table.skip_to(0, 9)
    assert table.persisted_offset(tp) == 8
    table.data._dbs.clear()
    again = new_table("rocksdb", tmp_path)
    assert again.next_offset(0) == 9
    # The claim is remembered with the rows.
    feed(again, record(9, b"B1", state("B1", 5), 0))
    assert again.row(b"B1") == state("B1", 1)


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_faust_is_the_version_whose_insides_are_used() -> None:
    """Who raises the version reads `streams/worker/` once more with these in mind."""
    assert version("faust-streaming") == "0.15.3"
    for store in (memory.Store, rocksdb.Store):
        assert parameters(store.apply_changelog_batch) == ["self", "batch", "to_key", "to_value"]
        assert parameters(store.persisted_offset) == ["self", "tp"]
    assert parameters(driver.AIOKafkaConsumerThread._commit) == ["self", "offsets"]
    assert parameters(mode.Worker._schedule_shutdown) == ["self", "signal"]
    assert BoundedWorker._schedule_shutdown is not mode.Worker._schedule_shutdown
    assert {"stop_flow", "resume_flow", "seek_wait", "perform_seek", "highwaters"} <= set(dir(faust_consumer.Consumer))
    # The callback comes after the store has dropped what is not active, and before the events are sought.
    completed = inspect.getsource(Recovery.on_recovery_completed)
    assert completed.index("table.on_recovery_completed") < completed.index("consumer.perform_seek")
    called = inspect.getsource(faust.Table.on_recovery_completed)
    assert called.index("self.data.on_recovery_completed") < called.index("call_recover_callbacks")
