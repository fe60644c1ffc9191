"""The topics and the state on them, for an operator."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.command.flags import Bootstrap, settings_with
from streams.command.process import ready_topics, say
from streams.contracts.printable import printable

app = typer.Typer()


@app.command()
def topics(bootstrap: Bootstrap = None) -> None:
    """Create the topics that are missing; existing ones stay as they are."""
    from rich.console import Console
    from rich.table import Table

    from streams.contracts.topics import topic_specs

    settings = settings_with(bootstrap=bootstrap)
    partitions = ready_topics(settings)
    table = Table("topic", "partitions", "cleanup")
    for spec in topic_specs(settings.application, partitions, settings.replication, settings.retention):
        table.add_row(spec.name, str(spec.partitions), spec.config.get("cleanup.policy", "delete"))
    Console().print(table)


@app.command()
def forget(
    borrower_id: Annotated[str, typer.Argument(metavar="ID", help="The borrower, as the events name it.")],
    bootstrap: Bootstrap = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased and what remains.")] = False,
) -> None:
    """Erase a borrower's state, and say what remains of the borrower, where, and until when."""
    import asyncio

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from streams.command.forget import account, applied, erase, traces_of

    settings = settings_with(bootstrap=bootstrap)
    found = asyncio.run(traces_of(settings, borrower_id))
    if not dry_run:
        if not yes:
            asked = f"Erase the state of borrower {printable(borrower_id)}? It cannot be brought back"
            typer.confirm(asked, abort=True, err=True)
        found = asyncio.run(applied(settings, borrower_id, found))
        asyncio.run(erase(settings, borrower_id, found))
    table = Table("where", "what", "until")
    for row in account(found, is_dry_run=dry_run):
        table.add_row(*map(Text, row))
    Console().print(table)
    say("nothing was changed" if dry_run else f"erased: {borrower_id}")


@app.command()
def repartition(
    partitions: Annotated[int, typer.Option(min=2, max=1024, help="How many partitions riskmon.events is to have.")],
    to: Annotated[
        str | None, typer.Option(help="The application's name afterwards; default: with -p and the number.")
    ] = None,
    bootstrap: Bootstrap = None,
    accept_misplaced: Annotated[
        bool,
        typer.Option("--accept-misplaced", help="Leave unread events to the dead letters that stand elsewhere by now."),
    ] = False,
) -> None:
    """Add partitions to riskmon.events and bring the state along, while no worker runs; may be run again."""
    import asyncio

    from streams.command.repartition import new_name
    from streams.command.repartition import repartition as move
    from streams.command.repartition_checks import Plan

    settings = settings_with(bootstrap=bootstrap)
    plan = Plan(settings.application, to or new_name(settings.application, partitions), partitions)
    count = asyncio.run(move(settings, plan, say, accept_misplaced=accept_misplaced))
    say(f"{count} borrowers stand on {partitions} partitions, verified")
    say(f"set RISKMON_APPLICATION to {plan.target} for worker, learner and console, and start them")
