"""The `riskmon` command."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from models.serving.targets import Target
from streams.command.deadletter import app as dead_letters
from streams.command.flags import Bootstrap, MetricsPort, settings_with
from streams.config.settings import Settings

if TYPE_CHECKING:
    from producers.faults import OutgoingRecord

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Streaming borrower-risk monitor.")
app.add_typer(dead_letters, name="deadletter")
console = Console(stderr=True)
_log = logging.getLogger(__name__)

ConsolePort = Annotated[int | None, typer.Option(help="Port of the console, 0 for any free one.")]
Borrowers = Annotated[int, typer.Option(min=1, help="How many borrowers to simulate.")]
Days = Annotated[int | None, typer.Option(min=1, help="Stop after this many business days.")]
Seed = Annotated[int, typer.Option(help="Same seed, same events.")]
Rate = Annotated[float, typer.Option(min=0, help="Events a second; 0 publishes as fast as it goes.")]
Share = Annotated[float, typer.Option(min=0, max=1)]


def main() -> None:
    """Entry point: an error a user can mend is one clear line and exit code 1, not a traceback."""
    try:
        app(standalone_mode=True)
    except ValueError as error:
        console.print(f"[red]riskmon:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)


@app.command()
def demo(
    bootstrap: Annotated[str | None, typer.Option(help="Use this Kafka instead of starting a local one.")] = None,
    borrowers: Borrowers = 500,
    days: Days = None,
    seed: Seed = 7,
    rate: Rate = 400,
    duplicates: Share = 0.01,
    disorder: Share = 0.01,
    malformed: Share = 0.002,
    summary: Annotated[Path | None, typer.Option(help="Write a JSON of counts here at the end.")] = None,
    metrics_port: MetricsPort = None,
    console_port: ConsolePort = None,
) -> None:
    """Run everything with a live view and the web console: local Kafka, simulator, worker, learner."""
    from models.training.forest_file import ready_model
    from producers.faults import FaultConfig
    from producers.simulator.simulate import SimulationConfig
    from streams.command.demo import DemoConfig, run_demo

    settings = settings_with(bootstrap=bootstrap, metrics_port=metrics_port, console_port=console_port)
    # The view shows what matters; the client's own notes on a broker that is just starting would tear it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    ready_model(settings, console.print)
    simulation = SimulationConfig(borrowers=borrowers, days=days, seed=seed, partitions=settings.partitions)
    faults = FaultConfig(duplicates=duplicates, disorder=disorder, malformed=malformed, seed=seed)
    run_demo(settings, DemoConfig(simulation, faults, rate, summary), bootstrap is not None, Console())


@app.command()
def broker(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 9092,
    data: Annotated[Path | None, typer.Option(help="Where the broker keeps its data.")] = None,
) -> None:
    """Run a local Apache Kafka until Ctrl-C; its data survives a restart. Fetches Kafka on first use."""
    from streams.command.local_kafka.broker import LocalBroker
    from streams.kafka.admin import ensure_topics

    settings = settings_with()
    with LocalBroker(data or settings.home / "kafka", port=port) as local:
        asyncio.run(ensure_topics(local.connection, settings.application, settings.partitions, 1))
        console.print(f"Kafka answers at {local.bootstrap}; Ctrl-C stops it")
        _wait_for_signal()
        console.print("stopping Kafka …")


@app.command()
def simulate(
    bootstrap: Bootstrap = None,
    borrowers: Borrowers = 500,
    days: Days = None,
    seed: Seed = 7,
    rate: Rate = 0,
    duplicates: Share = 0,
    disorder: Share = 0,
    malformed: Share = 0,
    shock_day: Annotated[int | None, typer.Option(min=0, help="Shock the portfolio on this day.")] = None,
    job_losses: Annotated[float, typer.Option(min=0, max=1, help="Share who lose their job in the shock.")] = 0.15,
    rate_rise: Annotated[float, typer.Option(min=0, help="Percentage points by which rates rise in it.")] = 2,
    table: Annotated[Path | None, typer.Option(help="Instead of publishing, write a CSV, a row a borrower.")] = None,
    panel: Annotated[Path | None, typer.Option(help="The same, a row a loan and month.")] = None,
) -> None:
    """Publish simulated borrowers' events, or write the portfolio as a table."""
    from models.training.sample import simulated_panel, simulated_snapshot
    from producers.faults import FaultConfig, FaultTally
    from producers.publisher import simulated_records
    from producers.simulator.behaviour import Shock
    from producers.simulator.simulate import SimulationConfig

    settings = settings_with(bootstrap=bootstrap)
    shock = None if shock_day is None else Shock(shock_day, job_losses, rate_rise)
    config = SimulationConfig(borrowers=borrowers, days=days, seed=seed, partitions=settings.partitions, shock=shock)
    if table or panel:
        for path, write in ((table, simulated_snapshot), (panel, simulated_panel)):
            if path:
                write(config, settings.rules().account).to_csv(path, index=False)
        return
    faults = FaultConfig(duplicates=duplicates, disorder=disorder, malformed=malformed, seed=seed)
    tally = FaultTally()
    _publish(settings, simulated_records(replace(config, partitions=_topics(settings)), faults, tally), rate)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or Parquet, one row a borrower.")],
    bootstrap: Bootstrap = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day the table describes; default yesterday.")
    ] = None,
    rate: Rate = 0,
) -> None:
    """Turn a table of borrowers into the dated events that lead to each row's state."""
    from producers.tables.check import BORROWER_COLUMNS, read_table
    from producers.tables.replay import plan_replay

    settings = settings_with(bootstrap=bootstrap)
    day = as_of.date() if as_of else datetime.now(UTC).date() - timedelta(days=1)
    plan = plan_replay(read_table(file, BORROWER_COLUMNS), day, _topics(settings))
    _publish(settings, plan.records, rate)
    for borrower_id, reason in plan.refused:
        console.print(f"not replayed: {borrower_id}: {reason}", highlight=False)
    if plan.refused:
        console.print(f"{len(plan.refused)} rows contradict themselves and were not replayed")


@app.command()
def worker(bootstrap: Bootstrap = None, metrics_port: MetricsPort = None) -> None:
    """Run a stream worker: events in, state kept, strategy changes out. Start as many as there are partitions."""
    from models.training.forest_file import ready_model
    from monitoring.health.health import Health, serving_health
    from streams.kafka.broker_watch import BrokerWatch
    from streams.score import ModelSet
    from streams.worker.app import Worker

    settings = settings_with(bootstrap=bootstrap, metrics_port=metrics_port)
    _log_to_stderr(settings)
    health, watch, has_model = Health(), BrokerWatch(settings.kafka), threading.Event()
    health.not_ready_while("model missing", lambda: not has_model.is_set())
    health.not_ready_while("broker away", lambda: watch.away)
    with serving_health(settings, health) as url:
        _log.info("metrics and health at %s", url)
        model = ready_model(settings, console.print)
        book = ModelSet(model.forest, model.segmenter)
        has_model.set()
        running = Worker(settings, book, _topics(settings, wait=True), watch)
        health.not_ready_while("recovering", lambda: not running.is_loaded)
        running.run()


@app.command()
def learner(bootstrap: Bootstrap = None, metrics_port: MetricsPort = None) -> None:
    """Run the learner of the online model. A second one stands by until the first is gone."""
    from monitoring.health.health import Health, serving_health
    from streams.kafka.broker_watch import BrokerWatch
    from streams.learner.app import Learner

    settings = settings_with(bootstrap=bootstrap, metrics_port=metrics_port)
    _log_to_stderr(settings)
    health, watch = Health(), BrokerWatch(settings.kafka)
    running = Learner(settings)
    health.not_ready_while("broker away", lambda: watch.away)
    health.not_ready_while("starting", lambda: not running.started)
    with serving_health(settings, health) as url:
        _log.info("metrics and health at %s", url)
        _topics(settings, wait=True)
        asyncio.run(_until_signal(watch, running))


@app.command()
def actions(
    bootstrap: Bootstrap = None,
    strategy: Annotated[str | None, typer.Option(help="Only changes to this strategy.")] = None,
    borrower: Annotated[str | None, typer.Option(help="Only this borrower.")] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more at the end of the topic.")] = True,
) -> None:
    """Print the actions topic as JSON, one action a line."""
    from streams.kafka.reader import read_actions

    settings = settings_with(bootstrap=bootstrap)

    async def tail() -> None:
        async for action in read_actions(settings.kafka, follow=follow):
            if strategy in (None, action.strategy.value) and borrower in (None, action.borrower_id):
                print(action.model_dump_json(), flush=True)

    asyncio.run(tail())


@app.command(name="console")
def web_console(
    bootstrap: Bootstrap = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; beyond this machine a token is needed.")
    ] = None,
    port: ConsolePort = None,
) -> None:
    """Serve the live web console until Ctrl-C. It only reads, and any number may run."""
    from monitoring.console.app import serving_console

    settings = settings_with(bootstrap=bootstrap, console_host=host, console_port=port)
    _log_to_stderr(settings)
    with serving_console(settings) as url:
        console.print(f"the console is at {url}; Ctrl-C stops it", highlight=False)
        _wait_for_signal()


@app.command()
def borrower(
    borrower_id: Annotated[str, typer.Argument(metavar="ID", help="The borrower, as the events name it.")],
    bootstrap: Bootstrap = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON document.")] = False,
) -> None:
    """Show a borrower's state and history: loans, predictions, actions and events."""
    from monitoring.terminal.borrower import render
    from streams.history.describe import describe
    from streams.history.read import read_history

    settings = settings_with(bootstrap=bootstrap)
    read = read_history(settings.kafka, settings.application, settings.rules(), borrower_id, settings.history_records)
    told = describe(asyncio.run(read), settings.rules().account)
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        Console().print(render(told))


@app.command()
def train(
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="CSV or Parquet: a monthly panel, or with --target seed a snapshot; without it, history is simulated.",
        ),
    ] = None,
    target: Annotated[Target, typer.Option(help="What the forest is to tell.")] = Target.NEXT_INSTALMENT,
    out: Annotated[Path | None, typer.Option(help="The model's folder; default: where the worker looks.")] = None,
    borrowers: Borrowers = 1500,
    days: Annotated[int, typer.Option(min=180, help="Days of simulated history to learn from.")] = 540,
    seed: Seed = 1,
) -> None:
    """Train forest and segments, save them where the worker looks, and print the model card."""
    from models.training.forest_file import keep, train_on_simulation, train_on_table
    from producers.simulator.simulate import SimulationConfig

    settings = settings_with()
    if file:
        trained = train_on_table(settings, target, file, seed, partial(console.print, highlight=False))
    else:
        trained = train_on_simulation(settings, target, SimulationConfig(borrowers=borrowers, days=days, seed=seed))
    print(keep(trained, out or settings.forest_dir).read_text())


@app.command()
def report(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or Parquet, one row a borrower.")],
    out: Annotated[Path, typer.Option(help="The HTML page; a CSV of all strategies is put beside it.")] = Path(
        "report.html"
    ),
    seed: Seed = 1,
) -> None:
    """Write the portfolio report: one HTML page from overview to each borrower's strategy."""
    from models.training.costs import policy_of
    from monitoring.report.page import write_report
    from producers.tables.check import SNAPSHOT_COLUMNS, read_table

    written = write_report(read_table(file, SNAPSHOT_COLUMNS), file.name, policy_of(settings_with()), seed, out)
    console.print(f"{written.page} and {written.strategies} are written", highlight=False)


@app.command()
def config() -> None:
    """Show the settings in force."""
    settings = settings_with()
    table = Table("setting", "environment", "in force", "meaning")
    for name, field in Settings.model_fields.items():
        table.add_row(name, f"RISKMON_{name.upper()}", str(getattr(settings, name)), field.description or "")
    Console().print(table)


@app.command()
def topics(bootstrap: Bootstrap = None) -> None:
    """Create the topics that are missing."""
    from streams.contracts.topics import topic_specs

    settings = settings_with(bootstrap=bootstrap)
    partitions = _topics(settings)
    table = Table("topic", "partitions", "cleanup")
    for spec in topic_specs(settings.application, partitions):
        table.add_row(spec.name, str(spec.partitions), spec.config.get("cleanup.policy", "delete"))
    Console().print(table)


@app.command()
def doctor(bootstrap: Bootstrap = None, metrics_port: MetricsPort = None) -> None:
    """Look for what keeps riskmon from running here, and say how to mend it; exit code 1 if anything is wrong."""
    from streams.command.doctor import Verdict, examine

    colours = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.WRONG: "red"}
    # What it finds stands in the table; the client's own notes on the way would only repeat it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    findings = asyncio.run(examine(settings_with(bootstrap=bootstrap, metrics_port=metrics_port)))
    table = Table("", "verdict", Column("found", overflow="fold"), Column("to mend it", overflow="fold"))
    for each in findings:
        table.add_row(each.subject, f"[{colours[each.verdict]}]{each.verdict}[/]", escape(each.found), escape(each.fix))
    Console().print(table)
    if any(each.verdict is Verdict.WRONG for each in findings):
        raise typer.Exit(1)


def _topics(settings: Settings, *, wait: bool = False) -> int:
    from streams.kafka.admin import await_topics, ensure_topics

    ready = await_topics if wait else ensure_topics
    return asyncio.run(ready(settings.kafka, settings.application, settings.partitions, settings.replication))


def _publish(settings: Settings, records: Iterable[OutgoingRecord], rate: float) -> None:
    from producers.publisher import publish
    from streams.contracts.topics import EVENTS

    published = asyncio.run(publish(settings.kafka, EVENTS, records, rate=rate))
    console.print(f"published {published.count:,} messages in {published.seconds:.1f} s")


def _log_to_stderr(settings: Settings) -> None:
    logging.basicConfig(
        level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def _wait_for_signal() -> None:
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    stopped.wait()


async def _until_signal(*services: Any) -> None:
    together = asyncio.gather(*(service.run() for service in services))
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, together.cancel)
    try:
        await together
    except asyncio.CancelledError:
        _log.info("stopped")
