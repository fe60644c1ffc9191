"""Gauges of several workers on a real Kafka: their sums are the portfolio, also after partitions have moved."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from monitoring.terminal.scrape import Samples, scrape
from producers.faults import FaultConfig, FaultTally
from producers.publisher import publish, simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.topics import EVENTS
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from tests.support.processes import Process, environment, running, wait_for_commit

BORROWERS = 60
ALL = {"0", "1", "2", "3"}


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Connection]:
    with LocalBroker(tmp_path / "kafka", port=0, heap_mb=256) as broker:
        yield Connection(broker.bootstrap)


def samples(*workers: Process) -> list[Samples]:
    return [scrape(worker.metrics_port, None) for worker in workers]


def total(name: str, found: list[Samples]) -> float:
    return sum(value for each in found for (metric, _), value in each.items() if metric == name)


def partitions(name: str, found: Samples) -> set[str]:
    return {dict(labels)["partition"] for metric, labels in found if metric == name}


def is_whole(found: list[Samples]) -> bool:
    """All workers are ready, and each partition is told of by one of them."""
    told = [partition for each in found for partition in partitions("riskmon_state_rows", each)]
    ready = total("riskmon_worker_ready", found) == len(found)
    return ready and sorted(told) == sorted(ALL) and total("riskmon_borrowers", found) == BORROWERS


async def wait_until(holds: Callable[[list[Samples]], bool], *workers: Process) -> list[Samples]:
    deadline = time.monotonic() + 60
    while not holds(found := await asyncio.to_thread(samples, *workers)):
        for worker in workers:
            worker.assert_running()
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)
    return found


def settled(found: list[Samples]) -> bool:
    """Each worker owns partitions, and the lag of all is known; there is none, since all is processed."""
    owners = [partitions("riskmon_lag_records", each) for each in found]
    return is_whole(found) and all(owners) and set().union(*owners) == ALL and total("riskmon_lag_records", found) == 0


def sums(found: list[Samples]) -> Mapping[str, float]:
    names = ("riskmon_state_rows", "riskmon_state_bytes", "riskmon_arrears_currency_units")
    return {name: round(total(name, found), 2) for name in names}


async def test_sums_over_workers_are_the_portfolio(kafka: Connection, model: Path, tmp_path: Path) -> None:
    await ensure_topics(kafka, "riskmon", 4, 1)
    simulation = SimulationConfig(borrowers=BORROWERS, days=90, seed=5)
    published = await publish(kafka, EVENTS, simulated_records(simulation, FaultConfig(), FaultTally()))
    first_env = environment(kafka, model, tmp_path / "first")
    with running("worker", first_env, tmp_path / "first.log") as first:
        await wait_for_commit(kafka, published.count, first)
        alone = await wait_until(settled, first)
        assert sums(alone)["riskmon_state_rows"] == BORROWERS + 4
        second_env = environment(kafka, model, tmp_path / "second")
        with running("worker", second_env, tmp_path / "second.log") as second:
            both = await wait_until(settled, first, second)
            assert sums(both) == sums(alone)
        back = await wait_until(settled, first)
        assert sums(back) == sums(alone)
