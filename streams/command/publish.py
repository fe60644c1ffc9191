"""Events into the stream: simulated ones, or those that a table of borrowers tells of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.command.flags import Bootstrap, Borrowers, Days, Rate, Seed, Share, settings_with
from streams.command.process import ready_topics, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from producers.faults import OutgoingRecord
    from streams.config.settings import Settings

app = typer.Typer()


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
    from dataclasses import replace

    from producers.faults import FaultConfig, FaultTally
    from producers.publisher import simulated_records
    from producers.simulator.behaviour import Shock
    from producers.simulator.simulate import SimulationConfig

    settings = settings_with(bootstrap=bootstrap)
    shock = None if shock_day is None else Shock(shock_day, job_losses, rate_rise)
    config = SimulationConfig(
        borrowers=borrowers,
        days=days,
        seed=seed,
        partitions=settings.partitions,
        shock=shock,
        grace_days=settings.grace_days,
    )
    if table or panel:
        from models.training.sample import simulated_panel, simulated_snapshot
        from producers.tables.write import write_csv

        for path, write in ((table, simulated_snapshot), (panel, simulated_panel)):
            if path:
                write_csv(write(config, settings.rules().account), path)
        return
    faults = FaultConfig(duplicates=duplicates, disorder=disorder, malformed=malformed, seed=seed)
    config = replace(config, partitions=ready_topics(settings))
    _publish(settings, simulated_records(config, faults, FaultTally()), rate)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or Parquet, one row a borrower.")],
    bootstrap: Bootstrap = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day the table describes; default yesterday.")
    ] = None,
    rate: Rate = 0,
) -> None:
    """Turn a table of borrowers into the dated events that lead to each row's state.

    A row that cannot be is named and left out, the others are published. The exit code is 1 if any was left out.
    """
    from producers.tables.check import BORROWER_COLUMNS, read_rows
    from producers.tables.replay import plan_replay

    settings = settings_with(bootstrap=bootstrap)
    day = as_of.date() if as_of else datetime.now(UTC).date() - timedelta(days=1)
    table = read_rows(file, BORROWER_COLUMNS)
    plan = plan_replay(table.rows, day, ready_topics(settings), settings.grace_days)
    if len(plan.refused) < len(table.rows):
        _publish(settings, plan.records, rate)
    faults = sorted([*table.faults, *plan.refused])
    for fault in faults:
        say(f"not replayed: {fault}")
    if faults:
        say(f"{len(faults):,} of {len(table.rows) + len(table.faults):,} rows were not replayed")
        raise typer.Exit(1)


def _publish(settings: Settings, records: Iterable[OutgoingRecord], rate: float) -> None:
    import asyncio

    from producers.publisher import publish
    from streams.contracts.topics import EVENTS

    published = asyncio.run(publish(settings.kafka, EVENTS, records, rate=rate))
    say(f"published {published.count:,} messages in {published.seconds:.1f} s")
