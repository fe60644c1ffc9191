"""`riskmon deadletter`: look at what was refused, and send it again after a fix."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from streams.command.flags import Bootstrap, settings_with
from streams.command.process import say
from streams.contracts.printable import printable

if TYPE_CHECKING:
    from streams.kafka.connection import Connection
    from streams.kafka.dead_letters import FiledLetter

app = typer.Typer(no_args_is_help=True, help="Messages that could not be processed.")

Reason = Annotated[str | None, typer.Option(help="Only letters refused for this reason.")]
_REPAIR_SECONDS = 30


@app.command("list")
def list_letters(
    bootstrap: Bootstrap = None,
    reason: Reason = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with the message itself.")] = False,
) -> None:
    """Show the dead letters that were not sent again yet."""
    import asyncio

    from rich.console import Console
    from rich.table import Column, Table

    from monitoring.terminal.text import shown

    letters = asyncio.run(_letters(settings_with(bootstrap=bootstrap).kafka, reason, None))
    if as_json:
        for letter in letters:
            print(json.dumps(_told(letter)))
        return
    folded = [Column(name, overflow="fold") for name in ("reason", "what was wrong", "origin")]
    table = Table("offset", "filed", *folded, title=f"{len(letters)} dead letters")
    for letter in letters:
        origin = f"{letter.topic}/{letter.partition}@{letter.origin_offset}"
        told = (shown(text) for text in (letter.reason, letter.detail, origin))
        table.add_row(str(letter.offset), f"{letter.filed_at:%Y-%m-%d %H:%M:%S}", *told)
    Console().print(table)


@app.command("replay")
def replay_letters(
    bootstrap: Bootstrap = None,
    reason: Reason = None,
    offset: Annotated[list[int] | None, typer.Option(help="Only the letter at this offset; may be repeated.")] = None,
    through: Annotated[
        str | None,
        typer.Option(help="A command that repairs: it reads a message and writes the repaired one, such as jq."),
    ] = None,
) -> None:
    """Send dead letters to their topic again. One that would be refused as invalid again stays where it is."""
    import asyncio

    problems = asyncio.run(
        _replay(settings_with(bootstrap=bootstrap).kafka, reason, offset, _repair_with(through) if through else _as_is)
    )
    if problems:
        raise typer.Exit(1)


async def _letters(kafka: Connection, reason: str | None, offsets: list[int] | None) -> list[FiledLetter]:
    from streams.kafka.dead_letters import open_letters

    return [
        letter
        async for letter in open_letters(kafka)
        if reason in (None, letter.reason) and (not offsets or letter.offset in offsets)
    ]


async def _replay(
    kafka: Connection, reason: str | None, offsets: list[int] | None, repair: Callable[[bytes], bytes]
) -> int:
    from streams.kafka.dead_letters import replay

    sent = problems = 0
    async for letter, problem in replay(kafka, await _letters(kafka, reason, offsets), repair):
        if problem is None:
            sent += 1
        else:
            problems += 1
            say(f"dead letter {letter.offset} stays: {printable(problem)}")
    say(f"sent again: {sent}, left: {problems}")
    return problems


def _told(letter: FiledLetter) -> dict[str, object]:
    def text(data: bytes | None) -> str | None:
        return None if data is None else data.decode(errors="backslashreplace")

    return asdict(letter) | {
        "filed_at": letter.filed_at.isoformat(),
        "key": text(letter.key),
        "value": text(letter.value),
    }


def _as_is(message: bytes) -> bytes:
    return message


def _repair_with(command: str) -> Callable[[bytes], bytes]:
    from streams.kafka.dead_letters import RepairError

    arguments = shlex.split(command)

    def repair(message: bytes) -> bytes:
        try:
            run = subprocess.run(arguments, input=message, capture_output=True, timeout=_REPAIR_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RepairError(f"the repair command could not run: {error}") from error
        if run.returncode:
            told = run.stderr.decode(errors="replace").strip()[-200:]
            raise RepairError(f"the repair command ended with {run.returncode}: {told}")
        return run.stdout.strip()

    return repair
