"""Everything on this machine: the demo, and a Kafka to try things out on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.command.flags import Borrowers, ConsolePort, Days, MetricsPort, Rate, Seed, Share, settings_with
from streams.command.process import say, silence_client, wait_for_signal

app = typer.Typer()


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
    from rich.console import Console

    from producers.faults import FaultConfig
    from producers.simulator.simulate import SimulationConfig
    from streams.command.demo import DemoConfig, run_demo
    from streams.command.run import served_model

    settings = settings_with(bootstrap=bootstrap, metrics_port=metrics_port, console_port=console_port)
    # The view shows what matters; the client's own notes on a broker that is just starting would tear it.
    silence_client()
    served_model(settings)
    simulation = SimulationConfig(
        borrowers=borrowers, days=days, seed=seed, partitions=settings.partitions, grace_days=settings.grace_days
    )
    faults = FaultConfig(duplicates=duplicates, disorder=disorder, malformed=malformed, seed=seed)
    run_demo(settings, DemoConfig(simulation, faults, rate, summary), bootstrap is not None, Console())


@app.command()
def broker(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 9092,
    data: Annotated[Path | None, typer.Option(help="Where the broker keeps its data.")] = None,
) -> None:
    """Run a local Apache Kafka until Ctrl-C; its data survives a restart. Fetches Kafka on first use."""
    import asyncio

    from streams.command.local_kafka.broker import LocalBroker
    from streams.kafka.admin import ensure_topics

    settings = settings_with()
    with LocalBroker(data or settings.home / "kafka", port=port) as local:
        asyncio.run(ensure_topics(local.connection, settings.application, settings.partitions, 1, settings.retention))
        say(f"Kafka answers at {local.bootstrap}; Ctrl-C stops it")
        wait_for_signal()
        say("stopping Kafka …")
