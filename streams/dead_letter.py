"""A refused message on its way to riskmon.deadletter: the bytes as they came, reason and origin in the headers."""

from __future__ import annotations

from streams.engine import DeadLetter
from streams.sink import Message
from streams.topics import DEADLETTER


def dead_letter_message(topic: str, refused: DeadLetter) -> Message:
    """The message to write for a record of `topic` that was refused; key and value are the original ones."""
    record = refused.record
    headers = {
        "riskmon-reason": refused.reason,
        "riskmon-detail": refused.detail,
        "riskmon-topic": topic,
        "riskmon-partition": str(record.partition),
        "riskmon-offset": str(record.offset),
        "riskmon-timestamp-ms": str(record.timestamp_ms),
    }
    return Message(
        DEADLETTER, None, record.key, record.value, tuple((name, text.encode()) for name, text in headers.items())
    )
