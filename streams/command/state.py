"""The topics and the state on them, for an operator."""

from __future__ import annotations

import typer

from streams.command.flags import Bootstrap, settings_with
from streams.command.process import ready_topics

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
