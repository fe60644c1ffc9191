"""Looking without changing: actions, one borrower, the settings in force, and what keeps riskmon from running."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.command.flags import Bootstrap, MetricsPort, settings_with
from streams.command.process import silence_client

app = typer.Typer()


@app.command()
def actions(
    bootstrap: Bootstrap = None,
    strategy: Annotated[str | None, typer.Option(help="Only changes to this strategy.")] = None,
    borrower: Annotated[str | None, typer.Option(help="Only this borrower.")] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more at the end of the topic.")] = True,
) -> None:
    """Print the actions topic as JSON, one action a line."""
    import asyncio

    from streams.kafka.reader import read_actions

    settings = settings_with(bootstrap=bootstrap)

    async def tail() -> None:
        async for action in read_actions(settings.kafka, follow=follow):
            if strategy in (None, action.strategy.value) and borrower in (None, action.borrower_id):
                print(action.model_dump_json(), flush=True)

    asyncio.run(tail())


@app.command()
def borrower(
    borrower_id: Annotated[str, typer.Argument(metavar="ID", help="The borrower, as the events name it.")],
    bootstrap: Bootstrap = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON document.")] = False,
) -> None:
    """Show a borrower's state and history: loans, predictions, actions and events."""
    import asyncio
    import json

    from rich.console import Console

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
def config() -> None:
    """Show the settings in force."""
    from rich.console import Console
    from rich.table import Table

    from monitoring.terminal.text import shown
    from streams.config.settings import Settings

    settings = settings_with()
    table = Table("setting", "environment", "in force", "meaning")
    for name, field in Settings.model_fields.items():
        table.add_row(name, f"RISKMON_{name.upper()}", shown(str(getattr(settings, name))), field.description or "")
    Console().print(table)


@app.command()
def doctor(bootstrap: Bootstrap = None, metrics_port: MetricsPort = None) -> None:
    """Look for what keeps riskmon from running here, and say how to mend it; exit code 1 if anything is wrong."""
    import asyncio

    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    from monitoring.terminal.text import shown
    from streams.command.doctor import examine
    from streams.command.finding import Verdict

    colours = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.WRONG: "red"}
    # What it finds stands in the table; the client's own notes on the way would only repeat it.
    silence_client()
    findings = asyncio.run(examine(settings_with(bootstrap=bootstrap, metrics_port=metrics_port)))
    table = Table("", "verdict", Column("found", overflow="fold"), Column("to mend it", overflow="fold"))
    for finding in findings:
        verdict = Text(finding.verdict, colours[finding.verdict])
        table.add_row(shown(finding.subject), verdict, shown(finding.found), shown(finding.fix))
    Console().print(table)
    if any(finding.verdict is Verdict.WRONG for finding in findings):
        raise typer.Exit(1)
