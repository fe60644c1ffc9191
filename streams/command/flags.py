"""Flags that several commands have, and the settings that come of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams.config.settings import Settings

Bootstrap = Annotated[str | None, typer.Option(help="Kafka's bootstrap servers; default from RISKMON_BOOTSTRAP.")]
MetricsPort = Annotated[int | None, typer.Option(help="Port of /metrics, 0 for any free one.")]


def settings_with(**flags: Any) -> Settings:
    """Settings with the flags that were given on top."""
    return Settings(**{name: value for name, value in flags.items() if value is not None})
