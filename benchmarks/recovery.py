"""How long a worker takes until it is ready, and how big it is then: `python -m benchmarks.recovery`.

By number of borrowers and store. A changelog of real states (simulated, then copied under other ids) is written to a
local Kafka; time runs from the process's start until /readyz says ready, and includes the start of Python itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import psutil
from msgspec.structs import replace

from benchmarks.compare import tell
from benchmarks.harness import COMPILED
from benchmarks.material import Material, prepare
from producers.faults import FaultConfig, FaultTally
from producers.publisher import simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.account.codec import CLOCK_PREFIX, decode_state, encode
from streams.command.local_kafka.broker import LocalBroker, free_port
from streams.contracts.topics import changelog_name
from streams.decide import Rules
from streams.history.offline import number_offsets, run_offline
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection

_PARTITIONS = 4
_TEMPLATES = 500
_CASES = {"memory": "memory", "rocksdb, store lost": "rocksdb", "rocksdb, store kept": "rocksdb"}


def main() -> None:
    """Measure and write a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--borrowers", type=int, nargs="+", default=[0, 10_000, 100_000, 1_000_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--stores", nargs="+", choices=["memory", "rocksdb"], default=["memory", "rocksdb"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        material = prepare(Path(folder))
        templates = _templates(material)
        found = {}
        for count in options.borrowers:
            found[count] = _measure(count, templates, options.runs, material, options.stores)
            print(count, found[count], flush=True)
    tell({"bytes_a_row": round(mean(map(len, templates))), "borrowers": found}, options.out)


def _templates(material: Material) -> list[bytes]:
    """Rows of simulated borrowers after 400 days."""
    records = simulated_records(SimulationConfig(borrowers=_TEMPLATES, days=400, seed=5), FaultConfig(), FaultTally())
    table: dict[str, bytes] = {}
    for _ in run_offline(
        number_offsets(records, lambda _: 0, int(time.time() * 1000)),
        material.model_set(),
        Rules(days_ahead=None),
        table,
    ):
        pass
    return [row for key, row in table.items() if not key.startswith(CLOCK_PREFIX)]


def _rows(count: int, templates: list[bytes]) -> Iterator[tuple[int, bytes, bytes]]:
    states = [decode_state(row) for row in templates]
    for number in range(count):
        state, name = states[number % len(states)], f"copy-{number}"
        partition = number % _PARTITIONS
        account = replace(state.account, borrower_id=name)
        # As if all that is in the outbox had been committed.
        yield partition, name.encode(), encode(replace(state, account=account, partition=partition, applied_offset=-1))


def _measure(
    count: int, templates: list[bytes], runs: int, material: Material, stores: list[str]
) -> dict[str, dict[str, list[float]]]:
    with tempfile.TemporaryDirectory() as folder, LocalBroker(Path(folder) / "kafka", port=0) as broker:
        asyncio.run(_write(broker.connection, count, templates))
        home = Path(folder) / "home"
        found: dict[str, dict[str, list[float]]] = {}
        for _ in range(runs):
            for name, store in [case for case in _CASES.items() if case[1] in stores]:
                if name == "rocksdb, store lost":
                    shutil.rmtree(home / "faust", ignore_errors=True)
                seconds, megabytes = _start(broker, home, store, material)
                told = found.setdefault(name, {"seconds_until_ready": [], "resident_mb": []})
                told["seconds_until_ready"].append(round(seconds, 2))
                told["resident_mb"].append(round(megabytes, 1))
        return found


async def _write(kafka: Connection, count: int, templates: list[bytes]) -> None:
    await ensure_topics(kafka, "riskmon", _PARTITIONS, 1)
    async with kafka.producer(linger_ms=20, max_batch_size=256 << 10) as producer:
        for partition, key, row in _rows(count, templates):
            await producer.send(changelog_name("riskmon"), row, key, partition=partition)
        await producer.flush()


def _start(broker: LocalBroker, home: Path, store: str, material: Material) -> tuple[float, float]:
    port = free_port()
    env = os.environ | {
        "RISKMON_BOOTSTRAP": broker.bootstrap,
        "RISKMON_STORE": store,
        "RISKMON_MODEL_DIR": str(material.model_dir),
        "RISKMON_ONLINE": "false",
        "RISKMON_STATE_DIR": str(home / "faust"),
    }
    command = [sys.executable, "-m", "streams.command", "worker", "--metrics-port", str(port)]
    started = time.perf_counter()
    worker = subprocess.Popen(command, cwd=COMPILED, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _is_ready(port):
            if worker.poll() is not None:
                raise SystemExit("the worker ended before it was ready; run it by hand to see why")
            time.sleep(0.05)
        return time.perf_counter() - started, psutil.Process(worker.pid).memory_info().rss / 1e6
    finally:
        worker.terminate()
        worker.wait(60)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()
