"""What the commands share at run time: words to the terminal, the log, the topics, waiting for a signal."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING

import typer

from streams.contracts.printable import printable_lines

if TYPE_CHECKING:
    from streams.config.settings import Settings


def say(text: str) -> None:
    """Tell the user something beside the command's own output; it may hold what a sender has written."""
    typer.echo(printable_lines(text), err=True)


def log_to_stderr(settings: Settings) -> None:
    """Send the log to stderr, at the level of the settings."""
    logging.basicConfig(
        level=settings.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


def silence_client() -> None:
    """Keep the Kafka client's own notes out of a view or a table that says what matters."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def ready_topics(settings: Settings, *, wait: bool = False) -> int:
    """Create the topics that are missing; returns the partition count of the events topic."""
    import asyncio

    from streams.kafka.admin import await_topics, ensure_topics

    ready = await_topics if wait else ensure_topics
    return asyncio.run(
        ready(settings.kafka, settings.application, settings.partitions, settings.replication, settings.retention)
    )


def wait_for_signal() -> None:
    """Return at Ctrl-C or SIGTERM."""
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    stopped.wait()
