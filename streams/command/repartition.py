"""`riskmon repartition`: more partitions for riskmon.events, and the state brought along, into a new changelog.

The old changelog is only read. The copy may be cut off at any moment and run again: what stands on the new changelog is
compared with what should, and only what differs is written. The new group's offsets are set last, when all is verified.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, NewTopic

from streams.account.codec import PartitionClock
from streams.command.rekey import CountingRows, Move, RekeyError, clocks_of, moved_clocks, moved_rows
from streams.command.repartition_checks import (
    Plan,
    assert_nobody_works,
    assert_read,
    partition_counts,
    resume_at,
)
from streams.config.settings import Settings
from streams.contracts.topics import EVENTS, changelog_name, topic_specs
from streams.kafka.admin import partitions_of
from streams.kafka.changelog import LogRecord, Row
from streams.kafka.connection import Connection
from streams.kafka.group import committed_offsets
from streams.kafka.producer import Message, Sink
from streams.kafka.reader import read_to_end

_NAMED = 5
_AT_ONCE = 2000

# The digest of each row that should be there, by partition and key.
_Digests = dict[int, dict[bytes, bytes]]


def new_name(application: str, partitions: int) -> str:
    """The application's name after the move, unless another is asked for."""
    return f"{re.sub(r'-p[0-9]+$', '', application)}-p{partitions}"


async def repartition(settings: Settings, plan: Plan, say: Callable[[str], None], *, accept_misplaced: bool) -> int:
    """Move, verify, and return how many borrowers there are. Raises `RekeyError` if something forbids it."""
    kafka = settings.kafka
    before, events = await partition_counts(kafka, plan)
    await assert_nobody_works(kafka, plan)
    move = Move(before, plan.partitions, await resume_at(kafka, plan.source, plan.partitions))
    await assert_read(kafka, move, events, accept_misplaced=accept_misplaced)
    await _assert_unused(kafka, plan, move)
    # Looked at before anything is changed: once there are more partitions, no worker could mend it.
    clocks = await _movable(kafka, plan, move)
    if events == before:
        await _add_partitions(kafka, plan.partitions)
        say(f"{EVENTS} has {plan.partitions} partitions now")
        await assert_read(kafka, move, plan.partitions, accept_misplaced=accept_misplaced)
    await _make_changelog(settings, plan)
    expected = await _copy(kafka, plan, move, clocks)
    await _verify(kafka, plan, expected)
    await assert_nobody_works(kafka, plan)
    if await resume_at(kafka, plan.source, plan.partitions) != move.resume_at:
        raise RekeyError(f"workers of {plan.source} went on meanwhile: stop them, and run this again")
    await _commit(kafka, plan.target, move.resume_at)
    return sum(map(len, expected.values())) - (move.after if clocks else 0)


async def _assert_unused(kafka: Connection, plan: Plan, move: Move) -> None:
    """Raise `RekeyError` if workers have gone on under the new name: their state must not be written over."""
    committed = await committed_offsets(kafka, plan.target, EVENTS)
    if any(offset != move.resume_at.get(tp.partition) for tp, offset in committed.items()):
        raise RekeyError(f"workers of {plan.target} have worked already: choose another name with --to")


async def _movable(kafka: Connection, plan: Plan, move: Move) -> list[PartitionClock]:
    """The clocks, once it is seen that every row and clock can be moved."""
    clocks: list[PartitionClock] = []
    for number in range(move.before):
        rows = (await _counting(kafka, changelog_name(plan.source), number)).rows
        clocks += clocks_of(rows)
        for _ in moved_rows(rows, number, move):
            pass
    for _ in moved_clocks(clocks, move):
        pass
    return clocks


async def _add_partitions(kafka: Connection, partitions: int) -> None:
    admin = kafka.admin()
    try:
        await kafka.start(admin)
        await admin.create_partitions({EVENTS: NewPartitions(partitions)})
    finally:
        await admin.close()


async def _make_changelog(settings: Settings, plan: Plan) -> None:
    old, new = changelog_name(plan.source), changelog_name(plan.target)
    admin = settings.kafka.admin()
    try:
        await settings.kafka.start(admin)
        found = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
        if new not in found:
            replicas = max(settings.replication, min(len(part["replicas"]) for part in found[old]))
            specs = topic_specs(plan.target, plan.partitions, replicas, settings.retention)
            config = next(spec.config for spec in specs if spec.name == new)
            await admin.create_topics([NewTopic(new, plan.partitions, replicas, topic_configs=config)])
    finally:
        await admin.close()
    if len(await partitions_of(settings.kafka, new)) != plan.partitions:
        raise RekeyError(f"{new} is there with another number of partitions: choose another name with --to")


async def _copy(kafka: Connection, plan: Plan, move: Move, clocks: Sequence[PartitionClock]) -> _Digests:
    """Write what is missing or differs, and remove what should not be there; returns what should."""
    new = changelog_name(plan.target)
    there = await _digests(kafka, plan)
    expected: _Digests = {number: {} for number in range(move.after)}
    sink = Sink(kafka)
    try:
        for number in range(move.before):
            rows = (await _counting(kafka, changelog_name(plan.source), number)).rows
            await _write(sink, new, moved_rows(rows, number, move), there, expected)
        await _write(sink, new, moved_clocks(clocks, move), there, expected)
        stray = [(no, key) for no, keys in there.items() for key in keys.keys() - expected[no].keys()]
        await sink.write([Message(new, number, key, None) for number, key in stray])
    finally:
        await sink.close()
    return expected


async def _write(sink: Sink, changelog: str, rows: Iterable[Row], there: _Digests, expected: _Digests) -> None:
    messages: list[Message] = []
    for number, key, value in rows:
        digest = expected[number][key] = _digest(value or b"")
        found = there[number].get(key)
        if found == digest:
            continue
        if found is not None:
            # Of two rows that have gone equally far the first counts: a run that was cut off may have left it.
            messages.append(Message(changelog, number, key, None))
        messages.append(Message(changelog, number, key, value))
        if len(messages) >= _AT_ONCE:
            await sink.write(messages)
            messages = []
    await sink.write(messages)


async def _verify(kafka: Connection, plan: Plan, expected: _Digests) -> None:
    """Read all of it again. Raises `RekeyError`, which names some, if a row is missing, differs or is too many."""
    found = await _digests(kafka, plan)
    wrong = [
        key.decode(errors="replace")
        for number, keys in expected.items()
        for key in sorted(keys.keys() | found[number].keys())
        if keys.get(key) != found[number].get(key)
    ]
    if wrong:
        named = ", ".join(map(repr, wrong[:_NAMED]))
        raise RekeyError(f"{len(wrong)} rows of {changelog_name(plan.target)} are not as they should be: {named}")


async def _digests(kafka: Connection, plan: Plan) -> _Digests:
    found: _Digests = {}
    for number in range(plan.partitions):
        there = await _counting(kafka, changelog_name(plan.target), number)
        if there.is_claimed:
            raise RekeyError(f"workers of {plan.target} have worked already: choose another name with --to")
        found[number] = {key: _digest(row) for key, row in there.rows.items()}
    return found


async def _counting(kafka: Connection, changelog: str, number: int) -> CountingRows:
    found = CountingRows()
    # As workers read it: a transaction that a stranger left open must not hide what stands behind it.
    consumer = kafka.consumer(auto_offset_reset="earliest", isolation_level="read_uncommitted")
    await kafka.start(consumer)
    try:
        part = TopicPartition(changelog, number)
        async for m in read_to_end(consumer, await consumer.beginning_offsets([part])):
            found.take(LogRecord(number, m.offset, m.key, m.value, m.headers))
    finally:
        await consumer.stop()
    return found


async def _commit(kafka: Connection, group: str, offsets: Mapping[int, int]) -> None:
    parts = {TopicPartition(EVENTS, number): offset for number, offset in offsets.items()}
    consumer = kafka.consumer(group_id=group)
    await kafka.start(consumer)
    try:
        consumer.assign(list(parts))
        await consumer.commit(parts)
    finally:
        await consumer.stop()


def _digest(row: bytes) -> bytes:
    return hashlib.blake2b(row, digest_size=16).digest()
