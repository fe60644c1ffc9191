"""Work on files alone: train a model, write the portfolio report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.serving.targets import Target
from streams.command.flags import Borrowers, Seed, settings_with
from streams.command.process import say

app = typer.Typer()


@app.command()
def train(
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="CSV or Parquet: a panel, or a snapshot with --target notebook; without it, history is simulated.",
        ),
    ] = None,
    target: Annotated[Target, typer.Option(help="What the forest is to predict.")] = Target.NEXT_INSTALMENT,
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
        trained = train_on_table(settings, target, file, seed, say)
    else:
        simulation = SimulationConfig(borrowers=borrowers, days=days, seed=seed, grace_days=settings.grace_days)
        trained = train_on_simulation(settings, target, simulation)
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
    say(f"{written.page} and {written.strategies} are written")
