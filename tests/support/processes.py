"""What the tests on a real broker share: processes to start and kill, topics to read, commits to wait for."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from aiokafka import ConsumerRecord

from monitoring.terminal.scrape import scrape
from streams.command.local_kafka.broker import free_port
from streams.contracts.records import Record
from streams.contracts.topics import EVENTS
from streams.kafka.admin import partitions_of
from streams.kafka.connection import Connection
from streams.kafka.group import committed_offsets
from streams.kafka.reader import as_record, read_topic
from streams.kafka.topic_state import log_spans

COMMAND = [sys.executable, "-m", "streams.command"]


class Process:
    """A riskmon process with its log."""

    def __init__(
        self,
        command: str,
        environment: Mapping[str, str],
        log: Path,
        launcher: Sequence[str] = COMMAND,
        before: Callable[[], None] | None = None,
    ) -> None:
        self.log = log
        self.metrics_port = free_port()
        arguments = [*launcher, command, "--metrics-port", str(self.metrics_port)]
        with log.open("ab") as out:
            self.child = subprocess.Popen(
                arguments, env=os.environ | environment, stdout=out, stderr=out, preexec_fn=before
            )

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]

    def assert_running(self) -> None:
        assert self.child.poll() is None, self.tail()

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        # A suspended process hears of its end only when it goes on.
        self.child.send_signal(signal.SIGCONT)
        self.child.terminate()
        self.child.wait(30)


def environment(kafka: Connection, model: Path, home: Path) -> dict[str, str]:
    """A worker's or learner's environment, with short sessions so that a dead worker is soon given up."""
    return {
        "RISKMON_BOOTSTRAP": kafka.bootstrap,
        "RISKMON_MODEL_DIR": str(model),
        "RISKMON_SESSION_SECONDS": "3",
        "RISKMON_HOME": str(home),
    }


@contextmanager
def running(command: str, env: Mapping[str, str], log: Path, launcher: Sequence[str] = COMMAND) -> Iterator[Process]:
    process = Process(command, env, log, launcher)
    try:
        yield process
    finally:
        process.stop()


async def read_messages(kafka: Connection, topic: str) -> list[ConsumerRecord]:
    """Every message of a topic, partition by partition in offset order."""
    found = [message async for message in read_topic(kafka, topic, follow=False)]
    return sorted(found, key=lambda each: (each.partition, each.offset))


async def read_all(kafka: Connection, topic: str) -> list[Record]:
    """The same as the engine's records."""
    return [as_record(message) for message in await read_messages(kafka, topic)]


async def committed(kafka: Connection) -> int:
    return sum((await committed_offsets(kafka, "riskmon", EVENTS)).values())


async def wait_for_commit(kafka: Connection, count: int, *processes: Process, seconds: float = 90) -> None:
    """Until the workers have committed that many records of the events topic."""
    deadline = time.monotonic() + seconds
    while await committed(kafka) < count:
        for process in processes:
            process.assert_running()
        assert time.monotonic() < deadline, [process.tail() for process in processes]
        await asyncio.sleep(0.05)


async def wait_until_drained(
    kafka: Connection, *processes: Process, group: str = "riskmon", seconds: float = 60
) -> None:
    """Until the workers have committed all of the events topic that is committed by its producers."""
    deadline = time.monotonic() + seconds
    while True:
        ends = await log_spans(kafka, await partitions_of(kafka, EVENTS))
        offsets = await committed_offsets(kafka, group, EVENTS)
        if all(offsets.get(tp, 0) >= log.stable for tp, log in ends.items()):
            return
        for process in processes:
            process.assert_running()
        assert time.monotonic() < deadline, (ends, offsets, [process.tail() for process in processes])
        await asyncio.sleep(0.05)


async def metric(worker: Process, name: str, **labels: str) -> float:
    """The sum of a worker's series of that name which have these labels."""
    found = await asyncio.to_thread(scrape, worker.metrics_port, None)
    return sum(value for (each, of), value in found.items() if each == name and labels.items() <= dict(of).items())


async def wait_for_metric(worker: Process, holds: Callable[[float], bool], name: str, **labels: str) -> float:
    """The same, once it holds."""
    deadline = time.monotonic() + 30
    while not holds(value := await metric(worker, name, **labels)):
        worker.assert_running()
        assert time.monotonic() < deadline, (name, value)
        await asyncio.sleep(0.1)
    return value
