"""Messages as a consumer gives them, for what needs no broker."""

from aiokafka import ConsumerRecord


def message(
    topic: str,
    value: bytes | None,
    key: bytes | None = None,
    headers: tuple[tuple[str, bytes], ...] = (),
    offset: int = 0,
    timestamp: int = 1_740_000_000_000,
) -> ConsumerRecord:
    """A message of partition 0 of the topic."""
    return ConsumerRecord(
        topic=topic,
        partition=0,
        offset=offset,
        timestamp=timestamp,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key or b""),
        serialized_value_size=len(value or b""),
        headers=headers,
    )
