"""From a decided batch to Kafka: what makes it durable, in the order that makes any crash in between harmless.

In: a decided batch from `streams/consume.py`. Out: dead letters, then state rows with their outbox, then actions and
labels, then the offsets that are done; each is acknowledged before the next begins (docs/reliability.md).
Next: nothing, the event's way ends here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from streams.contracts.topics import ACTIONS, EVENTS, LABELS
from streams.decide import BatchResult
from streams.kafka.dead_letters import file_dead_letters
from streams.kafka.producer import Message

_TOPIC_OF = {"action": ACTIONS, "label": LABELS}


class OwnershipLostError(RuntimeError):
    """The partitions of a batch belong to another worker by now."""


class Row(NamedTuple):
    """A row of the account table, as it goes to the changelog."""

    partition: int
    key: bytes
    value: bytes | None


class Rows(Protocol):
    """The account table and its changelog."""

    async def write(self, rows: Sequence[Row], firsts: Mapping[int, int]) -> None:
        """Write rows to the changelog and then to the table; `firsts` are the batch's first offsets by partition.

        Raises `OwnershipLostError` if the rows are not this worker's to write.
        """


class Messages(Protocol):
    """The other topics."""

    async def write(self, messages: Sequence[Message]) -> list[int]:
        """Return once all are acknowledged."""


class Offsets(Protocol):
    """Where to tell which events are done."""

    def done(self, next_offsets: Mapping[int, int]) -> None:
        """All before these offsets is durable, by partition."""


class Writer:
    """Writes one batch at a time."""

    def __init__(self, messages: Messages, rows: Rows, offsets: Offsets) -> None:
        self._messages = messages
        self._rows = rows
        self._offsets = offsets

    async def write(self, result: BatchResult, spans: Mapping[int, range]) -> None:
        """Make a batch durable; `spans` are the offsets it covers, by partition."""
        await file_dead_letters(self._messages, EVENTS, result.dead_letters)
        rows = [Row(partition, key.encode(), row) for key, (partition, row) in result.rows.items()]
        await self._rows.write(rows, {partition: span.start for partition, span in spans.items()})
        await self._messages.write(
            [Message(_TOPIC_OF[sent.kind], None, sent.key, sent.value) for _, sent in result.outgoing]
        )
        self._offsets.done({partition: span.stop for partition, span in spans.items()})
