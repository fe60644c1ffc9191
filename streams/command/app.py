"""The `riskmon` command: its groups put together, one file a group."""

from __future__ import annotations

import sys

import typer

from streams.command import deadletter, local, look, models, offline, publish, run, state
from streams.command.process import say

_GROUPS = {
    "Try it here": local.app,
    "Run": run.app,
    "Publish events": publish.app,
    "Look": look.app,
    "Topics and state": state.app,
    "Files": offline.app,
}

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Streaming borrower-risk monitor.")
for panel, group in _GROUPS.items():
    for command in group.registered_commands:
        command.rich_help_panel = panel
    app.add_typer(group)
app.add_typer(deadletter.app, name="deadletter", rich_help_panel="Topics and state")
app.add_typer(models.app, name="models", rich_help_panel="Topics and state")


def main() -> None:
    """Entry point: an error a user can mend is one clear line and exit code 1, not a traceback."""
    try:
        app(standalone_mode=True)
    except ValueError as error:
        typer.secho("riskmon: ", fg="red", err=True, nl=False)
        say(str(error))
        sys.exit(1)
