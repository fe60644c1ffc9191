"""On which partition a borrower's events belong: where Kafka's Java clients put their key by default."""

from __future__ import annotations

from collections.abc import Callable

from aiokafka.partitioner import DefaultPartitioner

_choose = DefaultPartitioner()


def murmur2_placement(partitions: int) -> Callable[[bytes], int]:
    """The partition of a key, of so many: its murmur2 hash without the sign bit, modulo the partitions."""
    numbers = list(range(partitions))

    def place(key: bytes) -> int:
        chosen: int = _choose(key, numbers, numbers)
        return chosen

    return place
