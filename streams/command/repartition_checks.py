"""What must hold before the state moves to other partitions: nobody works, and all that was published is read."""

from __future__ import annotations

from typing import NamedTuple

from aiokafka import TopicPartition

from streams.command.rekey import Move, RekeyError, home
from streams.contracts.topics import EVENTS, changelog_name
from streams.kafka.admin import partitions_of
from streams.kafka.connection import Connection
from streams.kafka.group import committed_offsets, group_progress
from streams.kafka.reader import read_to_end


class Plan(NamedTuple):
    """From which application to which, and how many partitions."""

    source: str
    target: str
    partitions: int


class Waiting(NamedTuple):
    """Events that no worker has read: all of them, and those that stand elsewhere than where their key belongs."""

    all: int
    misplaced: int


async def partition_counts(kafka: Connection, plan: Plan) -> tuple[int, int]:
    """How many partitions the state has, and how many the events. Raises `RekeyError` if the plan does not fit them."""
    changelog = changelog_name(plan.source)
    before, events = len(await partitions_of(kafka, changelog)), len(await partitions_of(kafka, EVENTS))
    if plan.target == plan.source:
        raise RekeyError("the state goes to a new application: choose another name than the present one with --to")
    if plan.partitions <= before:
        raise RekeyError(f"{changelog} has {before} partitions already, and Kafka can only add some")
    if events not in (before, plan.partitions):
        raise RekeyError(f"{EVENTS} has {events} partitions by now: run this with --partitions {events}")
    return before, events


async def assert_nobody_works(kafka: Connection, plan: Plan) -> None:
    """Raise `RekeyError` if a worker of either application is alive."""
    for group in (plan.source, plan.target):
        members = (await group_progress(kafka, group, EVENTS)).members
        if members:
            raise RekeyError(f"{members} workers of {group} are alive: stop them all, and run this again")


async def resume_at(kafka: Connection, group: str, partitions: int) -> dict[int, int]:
    """From where the workers go on, by partition: the group's offset, or the beginning where there is none."""
    committed = await committed_offsets(kafka, group, EVENTS)
    found = {tp.partition: offset for tp, offset in committed.items()}
    return {number: found.get(number, 0) for number in range(partitions)}


async def assert_read(kafka: Connection, move: Move, events: int, *, accept_misplaced: bool) -> None:
    """Raise `RekeyError` if an unread event stands where its key does not belong after the move."""
    waiting = await _waiting(kafka, move, events)
    if events == move.before and waiting.all:
        raise RekeyError(
            f"{waiting.all} events are not read yet: stop the producers, let the workers read all of it, stop them, "
            "and run this again"
        )
    if waiting.misplaced and not accept_misplaced:
        raise RekeyError(
            f"{waiting.misplaced} unread events stand on partitions where their borrowers do not belong any more. With "
            "--accept-misplaced they stay there, and the workers put them aside as dead letters: "
            "`riskmon deadletter replay --reason wrong_partition` then sends each to its place"
        )


async def _waiting(kafka: Connection, move: Move, events: int) -> Waiting:
    consumer = kafka.consumer(auto_offset_reset="earliest")
    await kafka.start(consumer)
    count = misplaced = 0
    try:
        parts = [TopicPartition(EVENTS, number) for number in range(events)]
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        await _assert_all_visible(kafka, ends)
        _assert_all_there(move, begins, ends)
        async for message in read_to_end(consumer, {part: move.resume_at[part.partition] for part in parts}):
            count += 1
            misplaced += bool(message.key) and home(message.key, move.after) != message.partition
    finally:
        await consumer.stop()
    return Waiting(count, misplaced)


def _assert_all_there(move: Move, begins: dict[TopicPartition, int], ends: dict[TopicPartition, int]) -> None:
    for part, begin in begins.items():
        resume = move.resume_at[part.partition]
        # Without a commit the workers go on from the topic's beginning, wherever that is by now.
        if resume and not begin <= resume <= ends[part]:
            raise RekeyError(
                f"the group stands at {resume} of {part.topic}-{part.partition}, which holds {begin} to {ends[part]}: "
                "events expired unread, or the topic was made anew (`riskmon doctor`)"
            )


async def _assert_all_visible(kafka: Connection, visible: dict[TopicPartition, int]) -> None:
    consumer = kafka.consumer(isolation_level="read_uncommitted")
    await kafka.start(consumer)
    try:
        ends = await consumer.end_offsets(list(visible))
    finally:
        await consumer.stop()
    held = sorted(part.partition for part, end in ends.items() if end > visible[part])
    if held:
        raise RekeyError(f"a producer's transaction is open on partitions {held} of {EVENTS}: end it first")
