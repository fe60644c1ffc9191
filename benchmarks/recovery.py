"""Time until a worker is ready, by number of borrowers and store: `python -m benchmarks.recovery`.

A changelog of real states (simulated, then copied under other ids) is written to a local Kafka. Measured is the time
from the process's start until /readyz says ready, without the start of a worker that has nothing to recover.
"""

from __future__ import annotations

import argparse
import asyncio
import json
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
from statistics import median

from msgspec.structs import replace

from producers.faults import FaultConfig, FaultTally
from producers.publisher import simulated_records
from producers.simulator import SimulationConfig
from streams.broker import LocalBroker, free_port
from streams.connection import Connection
from streams.engine import Rules
from streams.offline import number_offsets, run_offline
from streams.scoring import ScoreBook
from streams.state import CLOCK_PREFIX, decode_state, encode
from streams.topics import changelog_name, ensure_topics

_PARTITIONS = 4
_TEMPLATES = 500


def main() -> None:
    """Measure and print a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--borrowers", type=int, nargs="+", default=[0, 1_000, 10_000, 100_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    templates = _templates()
    result = {count: _measure(count, templates, options.runs) for count in options.borrowers}
    told = json.dumps({"bytes_a_row": median(map(len, templates)), "seconds_until_ready": result}, indent=2)
    print(told)
    if options.out:
        options.out.write_text(told + "\n")


def _templates() -> list[bytes]:
    """States of simulated borrowers after 400 days."""
    records = simulated_records(SimulationConfig(borrowers=_TEMPLATES, days=400, seed=5), FaultConfig(), FaultTally())
    table: dict[str, bytes] = {}
    for _ in run_offline(
        number_offsets(records, lambda _: 0, int(time.time() * 1000)), ScoreBook(None), Rules(), table
    ):
        pass
    return [row for key, row in table.items() if not key.startswith(CLOCK_PREFIX)]


def _rows(count: int, templates: list[bytes]) -> Iterator[tuple[int, bytes, bytes]]:
    states = [decode_state(row) for row in templates]
    for number in range(count):
        state, name = states[number % len(states)], f"copy-{number}"
        partition = number % _PARTITIONS
        account = replace(state.account, borrower_id=name)
        yield partition, name.encode(), encode(replace(state, account=account, partition=partition, outbox=()))


def _measure(count: int, templates: list[bytes], runs: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder, LocalBroker(Path(folder) / "kafka", port=0) as broker:
        asyncio.run(_write(broker.connection, count, templates))
        home = Path(folder) / "home"
        seconds: dict[str, list[float]] = {}
        for _ in range(runs):
            seconds.setdefault("memory", []).append(_start(broker, home, "memory"))
            shutil.rmtree(home / "faust", ignore_errors=True)
            seconds.setdefault("rocksdb, store lost", []).append(_start(broker, home, "rocksdb"))
            seconds.setdefault("rocksdb, store kept", []).append(_start(broker, home, "rocksdb"))
        return {name: [round(each, 2) for each in sorted(found)] for name, found in seconds.items()}


async def _write(kafka: Connection, count: int, templates: list[bytes]) -> None:
    await ensure_topics(kafka, "riskmon", _PARTITIONS, 1)
    async with kafka.producer(linger_ms=20) as producer:
        for partition, key, row in _rows(count, templates):
            await producer.send(changelog_name("riskmon"), row, key, partition=partition)
        await producer.flush()


def _start(broker: LocalBroker, home: Path, store: str) -> float:
    port = free_port()
    env = os.environ | {
        "RISKMON_BOOTSTRAP": broker.bootstrap,
        "RISKMON_STORE": store,
        "RISKMON_STATE_DIR": str(home / "faust"),
    }
    command = [sys.executable, "-m", "streams.cli", "worker", "--metrics-port", str(port)]
    started = time.perf_counter()
    worker = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _is_ready(port):
            if worker.poll() is not None:
                raise SystemExit("the worker ended before it was ready; run it by hand to see why")
            time.sleep(0.05)
        return time.perf_counter() - started
    finally:
        worker.terminate()
        worker.wait(60)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main()
