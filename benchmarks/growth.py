"""What the engine costs as the portfolio grows: `python -m benchmarks.growth` (see docs/scaling.md).

The engine alone, with tables of a thousand to a million borrowers in memory and in RocksDB: CPU time an event, and
resident memory. States are those of simulated borrowers in mid-life, copied under other ids; the events are theirs.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psutil
from msgspec.structs import replace
from rocksdict import BlockBasedOptions, Cache, Options, Rdict

from benchmarks.compare import tell
from benchmarks.harness import COMPILED, ROOT
from benchmarks.material import BASE_BORROWERS, PREFIX, SEED, Material, base_events, prepare, renamed
from producers.faults import OutgoingRecord
from streams.account.codec import CLOCK_PREFIX, decode_state, encode
from streams.contracts.events import DayClosed
from streams.contracts.records import Record
from streams.decide import Engine, Rules
from streams.history.offline import number_offsets, run_offline
from streams.score import ModelSet
from streams.worker.app import ROCKSDB_OPTIONS
from streams.worker.tuning import tune_garbage_collection

_PARTITIONS = 4
_EVENTS = 60_000
_BATCH = 1000
_AFTER_ALL = 10**9
# What a tick decides is held until it is written, some 8 kB a borrower.
_MOST_CLOSED = 100_000
_NOW = int(time.time() * 1000)


def main() -> None:
    """Measure each size in a process of its own and write a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--borrowers", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--stores", nargs="+", choices=["memory", "rocksdb"], default=["memory", "rocksdb"])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=3, metavar=("STORE", "BORROWERS", "MATERIAL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        store, borrowers, folder = options.one
        print(json.dumps(measure(store, int(borrowers), Material(Path(folder)))))
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        found = [_in_own_process(store, count, folder) for store in options.stores for count in options.borrowers]
    tell({"engine": found}, options.out)


def _in_own_process(store: str, borrowers: int, folder: str) -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.growth", "--one", store, str(borrowers), folder]
    run = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=COMPILED,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    told: dict[str, object] = json.loads(run.stdout)
    print(told, file=sys.stderr, flush=True)
    return told


def measure(store: str, borrowers: int, material: Material) -> dict[str, object]:
    """Fill a table, load an engine from it, and let it work through events of all its borrowers alike."""
    tune_garbage_collection()
    rows, events = _mid_life()
    process, model_set = psutil.Process(), material.model_set()
    gc.collect()
    before = process.memory_info().rss
    with tempfile.TemporaryDirectory() as folder:
        table: Any = {} if store == "memory" else _open(folder)
        for key, row in _many(rows, borrowers):
            table[key] = row
        engine = Engine(Rules(days_ahead=None), table.get)
        engine.load(map(decode_state, table.values()), [], {0: _AFTER_ALL})
        gc.collect()
        resident = process.memory_info().rss - before
        source = number_offsets(_stream(events, borrowers), lambda key: zlib.crc32(key) % _PARTITIONS, _NOW)
        records = [record._replace(offset=record.offset + _AFTER_ALL) for record in source]
        cpu, wall = time.process_time(), time.perf_counter()
        for at in range(0, len(records), _BATCH):
            result = engine.process(records[at : at + _BATCH], model_set, datetime.now(UTC))
            for key, (_, row) in result.rows.items():
                table[key] = row
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return {
            **(_closing(engine, table, model_set) if borrowers <= _MOST_CLOSED else {}),
            "store": store,
            "borrowers": borrowers,
            "events": len(records),
            "cpu_us_an_event": round(cpu * 1e6 / len(records), 1),
            "wall_us_an_event": round(wall * 1e6 / len(records), 1),
            "resident_bytes_a_borrower": round(resident / borrowers),
            "row_bytes": round(sum(map(len, rows.values())) / len(rows)),
        }


def _closing(engine: Engine, table: Any, model_set: ModelSet) -> dict[str, object]:
    """Two days are closed: the first brings all borrowers to one day, the second is an ordinary one, and measured."""
    last = max(decode_state(row).account.as_of for row in table.values())
    for number in (1, 2):
        tick = DayClosed(
            event_id=f"close-{number}",
            occurred_at=datetime.now(UTC),
            business_date=date.fromordinal(last + number),
            partition=0,
        )
        cpu = time.process_time()
        result = engine.process(
            [Record(0, 2 * _AFTER_ALL + number, None, tick.to_json(), _NOW)], model_set, datetime.now(UTC)
        )
        cpu = time.process_time() - cpu
        for key, (_, row) in result.rows.items():
            if not key.startswith(CLOCK_PREFIX):
                table[key] = row
    woken = len(result.rows) - 1
    return {"woken_by_a_tick": woken, "cpu_us_a_woken_borrower": round(cpu * 1e6 / max(woken, 1), 1)}


def _open(folder: str) -> Rdict:
    blocks = BlockBasedOptions()
    blocks.set_block_cache(Cache(int(str(ROCKSDB_OPTIONS["block_cache_size"]))))
    options = Options()
    options.set_write_buffer_size(int(str(ROCKSDB_OPTIONS["write_buffer_size"])))
    options.set_block_based_table_factory(blocks)
    return Rdict(folder, options)


def _mid_life() -> tuple[dict[str, bytes], list[OutgoingRecord]]:
    """The base stream's table after two thirds of it, and the events that follow."""
    base = base_events(ticks=True)
    cut = len(base) * 2 // 3
    table: dict[str, bytes] = {}
    for _ in run_offline(number_offsets(base[:cut], lambda _: 0, _NOW), ModelSet(None), Rules(days_ahead=None), table):
        pass
    rows = {key: row for key, row in table.items() if not key.startswith(CLOCK_PREFIX)}
    return rows, [record for record in base[cut:] if record.key is not None]


def _many(rows: dict[str, bytes], borrowers: int) -> Iterator[tuple[str, bytes]]:
    """The rows under as many other ids as are wanted, the same ids that `renamed` gives to events."""
    states = [decode_state(row) for row in rows.values()]
    for number in range(-(-borrowers // len(states))):
        for state in states[: borrowers - number * len(states)]:
            account, decision = state.account, state.decision
            loans = tuple(replace(loan, loan_id=_named(loan.loan_id, number)) for loan in account.loans)
            pending = tuple(replace(each, loan_id=_named(each.loan_id, number)) for each in decision.pending)
            key = _named(account.borrower_id, number)
            copy = replace(
                state,
                account=replace(account, borrower_id=key, loans=loans),
                decision=replace(decision, pending=pending),
                outbox=(),
            )
            yield key, encode(copy)


def _stream(events: list[OutgoingRecord], borrowers: int) -> Iterator[OutgoingRecord]:
    """About `_EVENTS` events at most: all that happens to as many copies, evenly from the whole table."""
    copies = max(borrowers // BASE_BORROWERS, 1)
    step = max(copies * len(events) // _EVENTS, 1)
    for record in events:
        for number in range(0, copies, step):
            yield renamed(record, number)


def _named(identifier: str, number: int) -> str:
    return identifier.replace(PREFIX, f"S{SEED}x{number}-", 1)


if __name__ == "__main__":
    main()
