"""Flags that several commands have, and the settings that come of them.

Nothing here or in a command's module may import what is heavy at its top: `riskmon --help` answers at once. A command
imports what it needs when it runs; `tests/unit/streams/command/test_startup.py` holds this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from streams.config.settings import Settings

Bootstrap = Annotated[str | None, typer.Option(help="Kafka's bootstrap servers; default from RISKMON_BOOTSTRAP.")]
MetricsPort = Annotated[int | None, typer.Option(help="Port of /metrics, 0 for any free one.")]
ConsolePort = Annotated[int | None, typer.Option(help="Port of the console, 0 for any free one.")]
Borrowers = Annotated[int, typer.Option(min=1, help="How many borrowers to simulate.")]
Days = Annotated[int | None, typer.Option(min=1, help="Stop after this many business days.")]
Seed = Annotated[int, typer.Option(help="Same seed, same events.")]
Rate = Annotated[float, typer.Option(min=0, help="Events a second; 0 publishes as fast as it goes.")]
Share = Annotated[float, typer.Option(min=0, max=1)]


def settings_with(**flags: Any) -> Settings:
    """Settings with the flags that were given on top."""
    from streams.config.settings import load_settings

    return load_settings(**{name: value for name, value in flags.items() if value is not None})
