"""`riskmon forget`: erase a borrower's state, and say what remains of the borrower, where, and until when.

The state goes by a tombstone on the changelog: workers, standby copies and consoles drop the row, and with it the
messages that it held to be sent. Events, actions, labels and dead letters cannot be taken out of a topic one by one:
they expire. What is said of them is read from the topics' own configuration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

from streams.config.settings import Settings
from streams.contracts.topics import EVENTS, changelog_name
from streams.history.traces import Traces, find_traces
from streams.kafka.changelog import ChangelogBusyError, Row, write_as_administrator
from streams.kafka.group import committed_offsets, group_progress
from streams.kafka.producer import Sink

_WAIT_SECONDS = 30.0
_LOOK_SECONDS = 1.0


class ForgetError(ValueError):
    """The borrower cannot be erased now; the text says why and what to do."""


async def traces_of(settings: Settings, borrower_id: str) -> Traces:
    """Everything that the topics hold of the borrower. Raises `ForgetError` if there is nothing."""
    committed = await committed_offsets(settings.kafka, settings.application, EVENTS)
    found = await find_traces(settings.kafka, settings.application, borrower_id, settings.history_records, committed)
    if found.is_unknown:
        raise ForgetError(f"no borrower {borrower_id} is known, and no topic holds a message of one")
    return found


async def applied(settings: Settings, borrower_id: str, found: Traces) -> Traces:
    """The same once all of the borrower's events are applied: one that came after the erasure would begin anew.

    Raises `ForgetError` if no worker applies them.
    """
    for _ in range(round(_WAIT_SECONDS / _LOOK_SECONDS)):
        if not found.unapplied:
            return found
        if not await _workers(settings):
            break
        await asyncio.sleep(_LOOK_SECONDS)
        found = await traces_of(settings, borrower_id)
    raise ForgetError(
        f"{found.unapplied} events of {borrower_id} are not applied yet, and would bring back what is erased now. "
        "Let the workers catch up, and run this again"
    )


async def erase(settings: Settings, borrower_id: str, found: Traces) -> None:
    """Write the tombstones. Raises `ForgetError` if workers write so much that none comes through."""
    rows = [Row(number, borrower_id.encode(), None) for number in found.rows]
    sink = Sink(settings.kafka)
    try:
        await write_as_administrator(sink, changelog_name(settings.application), rows, "riskmon forget")
    except ChangelogBusyError as error:
        raise ForgetError(f"{borrower_id} was not erased: {error}") from error
    finally:
        await sink.close()


def account(found: Traces, *, is_dry_run: bool) -> Iterator[tuple[str, str, str]]:
    """Rows of a table: where, what is there, and until when."""
    erased = "would be erased" if is_dry_run else "erased"
    if found.rows:
        yield "state", "loans, score, strategy, and messages not sent yet", f"{erased} now"
    else:
        yield "state", "nothing", "erased before, or never there"
    replaced = found.replaced + len(found.rows)
    if replaced:
        until = _by(found.replaced_gone_by, "max.compaction.lag.ms")
        yield "older rows on the changelog", f"{replaced} rows, which nobody reads any more", until
    for trace in found.topics:
        searched = "" if trace.searched_all else ", of the newest searched; older ones may be there"
        what = f"{trace.messages} messages{searched}"
        if trace.messages or not trace.searched_all:
            yield trace.topic, what, _by(trace.gone_by, "retention.ms")
        else:
            yield trace.topic, "nothing", ""
    yield "workers' local stores", "a copy of the state", "the next message on the borrower's partition"
    yield "riskmon.models", "what was learnt, without any id", "stays: it tells of no one borrower"


def _by(moment: datetime | None, setting: str) -> str:
    if moment is None:
        return f"for ever: {setting} has no limit there (`riskmon doctor`)"
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC at the latest"


async def _workers(settings: Settings) -> int:
    return (await group_progress(settings.kafka, settings.application, EVENTS)).members
