"""`riskmon demo`: broker, worker, learner and simulator together, with a live view and a summary of counts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live

from monitoring.console.app import serving_console
from monitoring.terminal.live import DemoView, render
from monitoring.terminal.scrape import Samples, scrape
from producers.faults import FaultConfig, FaultTally
from producers.publisher import publish, simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.command.local_kafka.broker import LocalBroker, free_port
from streams.config.settings import Settings
from streams.contracts.topics import EVENTS, LABELS
from streams.kafka.admin import ensure_topics
from streams.kafka.group import committed_offsets
from streams.kafka.reader import read_actions

_REFRESH_SECONDS = 0.5


class DemoError(ValueError):
    """The demo cannot go on; the text says which part failed and shows the end of its log."""


@dataclass(frozen=True)
class DemoConfig:
    """What to simulate, with which faults, how fast (events a second, 0 as fast as it goes)."""

    simulation: SimulationConfig
    faults: FaultConfig
    rate: float
    summary: Path | None


def run_demo(settings: Settings, config: DemoConfig, own_kafka: bool, console: Console) -> None:
    """Run until the simulation ends or Ctrl-C; with `own_kafka` the user's Kafka is used and none is started."""
    with ExitStack() as stack:
        workdir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="riskmon-demo-")))
        if not own_kafka:
            console.print("starting a local Kafka …")
            broker = stack.enter_context(LocalBroker(workdir / "kafka", port=0))
            settings = settings.model_copy(update={"bootstrap": broker.bootstrap})
        # Simulated days pass faster than Kafka's, so the worker below is told the same.
        settings = settings.model_copy(update={"days_ahead": "unlimited"})
        asyncio.run(_Demo(settings, config, workdir, console).run())


class _Demo:
    def __init__(self, settings: Settings, config: DemoConfig, workdir: Path, console: Console) -> None:
        self._settings = settings
        self._config = config
        self._workdir = workdir
        self._console = console
        self._metrics_port = settings.metrics_port or free_port()
        self._learner_port = free_port()
        self._view = DemoView()

    async def run(self) -> None:
        settings = self._settings
        await ensure_topics(
            settings.kafka, settings.application, settings.partitions, settings.replication, settings.retention
        )
        with (
            self._child("worker", self._metrics_port) as worker,
            self._child("learner", self._learner_port) as learner,
            serving_console(settings) as url,
        ):
            self._console.print(
                f"Kafka at {settings.bootstrap}, web console at [bold]{url}[/], metrics of worker and learner at "
                f"http://127.0.0.1:{self._metrics_port}/metrics and http://127.0.0.1:{self._learner_port}/metrics",
                soft_wrap=True,
            )
            await self._until_done({"worker": worker, "learner": learner})
        if self._config.summary:
            self._config.summary.write_text(json.dumps(self._view.summary(), indent=2) + "\n")
        self._console.print(render(self._view))

    async def _until_done(self, children: dict[str, subprocess.Popen[bytes]]) -> None:
        interrupted = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, interrupted.set)
        with Live(render(self._view), console=self._console, transient=True, auto_refresh=False) as live:
            tasks = [
                asyncio.create_task(work)
                for work in (
                    self._publish_and_drain(),
                    self._follow_actions(),
                    self._refresh(live),
                    self._mind(children),
                    interrupted.wait(),
                )
            ]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()
        self._view.stop(await self._scraped())

    async def _publish_and_drain(self) -> None:
        await self._worker_ready()
        self._view.started = time.monotonic()
        tally = FaultTally()
        records = simulated_records(self._config.simulation, self._config.faults, tally)
        await publish(self._settings.kafka, EVENTS, records, rate=self._config.rate, progress=self._view.note_published)
        await self._drain(self._settings.application, EVENTS)
        self._view.drained = time.monotonic()
        await self._drain(f"{self._settings.application}-learner", LABELS)
        await asyncio.sleep(2 * _REFRESH_SECONDS)

    async def _worker_ready(self) -> None:
        """Wait until the worker owns its partitions, so that latency is not that of its start."""
        while not self._view.total("riskmon_recovery_duration_seconds"):
            await asyncio.sleep(_REFRESH_SECONDS / 2)

    async def _drain(self, group: str, topic: str) -> None:
        """Wait until the group has committed all that the topic holds."""
        consumer = self._settings.kafka.consumer(topic)
        await consumer.start()
        try:
            ends = await consumer.end_offsets(consumer.assignment())
        finally:
            await consumer.stop()
        waiting = {partition: end for partition, end in ends.items() if end}
        while waiting:
            committed = await committed_offsets(self._settings.kafka, group, topic)
            waiting = {partition: end for partition, end in waiting.items() if committed.get(partition, 0) < end}
            await asyncio.sleep(_REFRESH_SECONDS / 2)

    async def _follow_actions(self) -> None:
        async for action in read_actions(self._settings.kafka, follow=True):
            self._view.note_action(action, time.time())

    async def _refresh(self, live: Live) -> None:
        while True:
            self._view.note_metrics(await self._scraped())
            live.update(render(self._view), refresh=True)
            await asyncio.sleep(_REFRESH_SECONDS)

    async def _scraped(self) -> Samples:
        return await asyncio.to_thread(scrape, self._metrics_port, self._settings.metrics_token)

    async def _mind(self, children: dict[str, subprocess.Popen[bytes]]) -> None:
        while True:
            for name, child in children.items():
                if child.poll() is not None:
                    tail = self._log(name).read_text(errors="replace")[-2000:]
                    raise DemoError(f"the {name} ended with exit code {child.returncode}; its log ends:\n{tail}")
            await asyncio.sleep(_REFRESH_SECONDS)

    def _log(self, name: str) -> Path:
        return self._workdir / f"{name}.log"

    @contextmanager
    def _child(self, command: str, metrics_port: int) -> Iterator[subprocess.Popen[bytes]]:
        arguments = [sys.executable, "-m", "streams.command", command, "--bootstrap", self._settings.bootstrap]
        with self._log(command).open("wb") as log:
            # Its own session, so that Ctrl-C reaches this process alone, which then stops the parts in order.
            child = subprocess.Popen(
                [*arguments, "--metrics-port", str(metrics_port)],
                env=os.environ | {"RISKMON_DAYS_AHEAD": str(self._settings.days_ahead)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(timeout=15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
