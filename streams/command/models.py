"""`riskmon models`: look at the online models' snapshots, put one in force that was held back, or start over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.command.flags import Bootstrap, settings_with
from streams.command.process import say

if TYPE_CHECKING:
    from streams.kafka.connection import Connection
    from streams.kafka.producer import Message
    from streams.kafka.snapshots import FoundSnapshot

app = typer.Typer(no_args_is_help=True, help="The online models that the learner publishes.")


@app.command("list")
def list_snapshots(bootstrap: Bootstrap = None) -> None:
    """Show the newest snapshots: in force or held back, after how many labels, how far each moves the scores."""
    import asyncio

    from rich.console import Console
    from rich.table import Table

    from monitoring.terminal.text import shown
    from streams.kafka.snapshots import Judge

    settings = settings_with(bootstrap=bootstrap)
    snapshots = asyncio.run(_snapshots(settings.kafka))
    table = Table("offset", "labels", "champion", "weight", "verdict", "moves by", title=f"{len(snapshots)} snapshots")
    judge = Judge(settings.snapshot_move)
    for found in snapshots:
        verdict = judge.take(found, first=judge.in_force is None)
        snapshot = found.snapshot
        told = "accepted" if found.is_accepted else verdict
        weight, move = f"{snapshot.online_weight:.2f}", f"{judge.last_move:.3f}"
        table.add_row(str(found.offset), str(snapshot.labels_learnt), shown(snapshot.champion), weight, told, move)
    Console().print(table)


@app.command("accept")
def accept(
    offset: Annotated[int | None, typer.Argument(min=0, help="The snapshot; by default the newest held back.")] = None,
    by: Annotated[str, typer.Option(envvar="USER", help="Who accepts it: that stands with the message.")] = "unknown",
    bootstrap: Bootstrap = None,
) -> None:
    """Put a snapshot in force that was held back: for all workers at once, and for the learner to go on from."""
    import asyncio

    from streams.kafka.snapshots import HELD_KEY, accepted_message

    kafka = settings_with(bootstrap=bootstrap).kafka
    snapshots = asyncio.run(_snapshots(kafka))
    wanted = [each for each in snapshots if (each.key == HELD_KEY if offset is None else each.offset == offset)]
    if not wanted:
        raise ValueError(
            "no snapshot is held back" if offset is None else f"no usable snapshot at offset {offset} among the newest"
        )
    asyncio.run(_write(kafka, [accepted_message(wanted[-1], by)]))
    say(f"snapshot {wanted[-1].offset} is in force, after {wanted[-1].snapshot.labels_learnt} labels")


@app.command("reset")
def reset(
    bootstrap: Bootstrap = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget the online models: learning starts over, and the forest scores alone until they are judged anew."""
    import asyncio

    from streams.kafka.snapshots import reset_messages

    kafka = settings_with(bootstrap=bootstrap).kafka
    if not yes:
        typer.confirm("Forget all that the online models have learnt?", abort=True)
    asyncio.run(_write(kafka, reset_messages()))
    say("the online models are reset: the learner starts with the oldest label on its topic")


async def _snapshots(kafka: Connection) -> list[FoundSnapshot]:
    """The usable snapshots among the newest messages, oldest first."""
    from models.serving.linear import SnapshotError
    from streams.kafka.snapshots import found_snapshot, read_recent

    snapshots = []
    for message in await read_recent(kafka):
        try:
            snapshots.append(found_snapshot(message))
        except SnapshotError as error:
            say(f"offset {message.offset} is no snapshot: {error}")
    return snapshots


async def _write(kafka: Connection, messages: list[Message]) -> None:
    from streams.kafka.producer import Sink

    sink = Sink(kafka)
    try:
        await sink.write(messages)
    finally:
        await sink.close()
