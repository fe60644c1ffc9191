"""riskmon beside what one would pick instead: `python -m benchmarks.compare`.

Each run has a fresh Kafka with the whole stream on it; the systems take turns. Throughput and CPU are read between
the first committed records and the last. Latency is measured at a steady half of the system's own throughput. A
restart is timed from the start of a process whose local store is lost until it has committed an event that waited.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import TypeVar

from benchmarks.harness import (
    BY_HAND,
    CEILING,
    QUIX,
    RISKMON,
    Running,
    System,
    action_delays,
    kafka_with_topics,
    progress,
    publish_all,
    running,
)
from benchmarks.material import BASE_BORROWERS, Material, base_events, copies, prepare
from producers.faults import OutgoingRecord
from streams.kafka.connection import Connection

_SYSTEMS = {
    system.name: system
    for system in (
        RISKMON,
        replace(RISKMON, name="riskmon, RocksDB", store="rocksdb"),
        replace(RISKMON, name="riskmon, not compiled", code=Path()),
        QUIX,
        BY_HAND,
        CEILING,
    )
}
_STEADY_SECONDS = 20
_PARTITIONS = 4
_WARM_SHARE = 0.05
_RESTART_COPIES = 8

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class Drained:
    """One run: events a second, CPU microseconds an event, resident megabytes at the end."""

    events: int
    borrowers: int
    events_a_second: float
    cpu_us_an_event: float
    resident_mb: float


def main() -> None:
    """Measure and write a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", nargs="+", choices=_SYSTEMS, default=list(_SYSTEMS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1, help="Shorter or longer streams for all.")
    parser.add_argument("--throughput-only", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    systems = [
        replace(_SYSTEMS[name], copies=max(round(_SYSTEMS[name].copies * options.scale), 1)) for name in options.systems
    ]
    with tempfile.TemporaryDirectory() as folder:
        material = prepare(Path(folder))
        runs = in_turns({system.name: partial(drain, system, material) for system in systems}, options.runs)
        told = {name: summary(found) for name, found in runs.items()}
        for system in [] if options.throughput_only else systems:
            if system.module != CEILING.module:
                rate = median(run.events_a_second for run in runs[system.name]) / 2
                told[system.name]["latency_at_half_load"] = latency(system, material, rate)
            if system.has_lasting_state:
                restarts = sorted(restart(system, material) for _ in range(options.runs))
                told[system.name]["seconds_to_restart"] = [round(each, 1) for each in restarts]
            print(system.name, told[system.name], flush=True)
    tell({"partitions": _PARTITIONS, "systems": told}, options.out)


def in_turns(drains: Mapping[_Key, Callable[[], Drained]], runs: int) -> dict[_Key, list[Drained]]:
    """Measure all so many times, one after another, so that whatever else the machine does falls on all alike."""
    found: dict[_Key, list[Drained]] = {key: [] for key in drains}
    for _ in range(runs):
        for key, drained in drains.items():
            found[key].append(drained())
            print(key, found[key][-1], flush=True)
    return found


def tell(measured: dict[str, object], out: Path | None) -> None:
    """Print the JSON object, with the machine it was measured on, and write it to a file if one is named."""
    text = json.dumps({"machine": machine(), **measured}, indent=2)
    print(text)
    if out:
        out.write_text(text + "\n")


def machine() -> dict[str, object]:
    """What it was measured on, and how busy that was with other things."""
    return {
        "cores": os.cpu_count(),
        "load_average": [round(each, 1) for each in os.getloadavg()],
        "python": platform.python_version(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def summary(runs: list[Drained]) -> dict[str, object]:
    """Minimum, median and maximum of each figure."""
    figures = ("events_a_second", "cpu_us_an_event", "resident_mb")
    told: dict[str, object] = {"events": runs[0].events, "borrowers": runs[0].borrowers, "runs": len(runs)}
    for name in figures:
        found = sorted(round(getattr(run, name), 1) for run in runs)
        told[name] = {"min": found[0], "median": round(median(found), 1), "max": found[-1]}
    return told


def drain(system: System, material: Material, *, ticks: bool = False, partitions: int = _PARTITIONS) -> Drained:
    """The system works off a stream that is there before it starts."""
    with kafka_with_topics(material, partitions) as broker:
        stream = copies(base_events(ticks=ticks), system.copies)
        published = asyncio.run(publish_all(broker.connection, stream))
        with running(system, broker, material) as at_work:
            return asyncio.run(_watch(broker.connection, system, at_work, published))


async def _watch(kafka: Connection, system: System, at_work: Running, published: int) -> Drained:
    async with progress(kafka) as seen:
        first = await seen.until(int(published * _WARM_SHARE), at_work)
        started, cpu = time.monotonic(), at_work.cpu_seconds()
        await seen.until(published, at_work)
        count = published - first
        return Drained(
            published,
            system.copies * BASE_BORROWERS,
            count / (time.monotonic() - started),
            (at_work.cpu_seconds() - cpu) * 1e6 / count,
            at_work.resident_bytes() / 1e6,
        )


def restart(system: System, material: Material) -> float:
    """Seconds from the start of a process, which finds its state in Kafka only, until it goes on."""
    system = replace(system, copies=_RESTART_COPIES)
    *before, waiting = copies(base_events(), system.copies)
    with kafka_with_topics(material, _PARTITIONS) as broker:
        asyncio.run(publish_all(broker.connection, before))
        with running(system, broker, material) as first:
            asyncio.run(_until(broker.connection, first, len(before)))
        asyncio.run(publish_all(broker.connection, [waiting]))
        started = time.monotonic()
        with running(system, broker, material) as second:
            asyncio.run(_until(broker.connection, second, len(before) + 1))
            return time.monotonic() - started


async def _until(kafka: Connection, at_work: Running, count: int) -> None:
    async with progress(kafka) as seen:
        await seen.until(count, at_work)


def latency(system: System, material: Material, rate: float) -> dict[str, object]:
    """Publish-to-action delay at a steady rate, once the stream's first part is worked off."""
    base = base_events()
    steady = int(rate * _STEADY_SECONDS)
    system = replace(system, copies=max(-(-steady * 5 // (2 * len(base))), 1))
    total = len(base) * system.copies
    with kafka_with_topics(material, _PARTITIONS) as broker, running(system, broker, material) as at_work:
        delays = asyncio.run(_steady(broker.connection, system, at_work, base, max(total - steady, total // 2), rate))
    cuts = quantiles(delays, n=100) if len(delays) > 1 else [0.0] * 99
    return {
        "events_a_second": round(rate),
        "actions": len(delays),
        "p50_ms": round(cuts[49] * 1000, 1),
        "p99_ms": round(cuts[98] * 1000, 1),
        "max_ms": round(max(delays, default=0) * 1000, 1),
    }


async def _steady(
    kafka: Connection, system: System, at_work: Running, base: list[OutgoingRecord], warm: int, rate: float
) -> list[float]:
    stream = copies(base, system.copies)
    async with progress(kafka) as seen:
        await publish_all(kafka, islice(stream, warm))
        await seen.until(warm, at_work)
        since = time.time() + 1
        steady = await publish_all(kafka, stream, rate)
        await seen.until(warm + steady, at_work)
    return await action_delays(kafka, since)


if __name__ == "__main__":
    main()
