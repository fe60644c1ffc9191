"""Faults on request: duplicates, disorder and malformed messages, by seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from producers.simulator.simulate import Emission

MALFORMED_KINDS = (
    "malformed_json",
    "unknown_type",
    "missing_field",
    "negative_amount",
    "unknown_loan",
    "future_date",
)
_MOST_DELAY = 20


class OutgoingRecord(NamedTuple):
    """A message ready to be published."""

    partition: int | None
    key: bytes | None
    value: bytes


@dataclass(frozen=True)
class FaultConfig:
    """Shares of events that are published twice, held back, or followed by a malformed copy."""

    duplicates: float = 0.0
    disorder: float = 0.0
    malformed: float = 0.0
    seed: int = 7


@dataclass
class FaultTally:
    """How many faults were put in, by kind; what a test holds the stream's counts against."""

    duplicates: int = 0
    malformed: Counter[str] = field(default_factory=Counter)


def inject(emissions: Iterator[Emission], config: FaultConfig, tally: FaultTally) -> Iterator[OutgoingRecord]:
    """The same events with faults among them. Ticks stay where they are, and no loan is opened late."""
    draw = Random(f"faults/{config.seed}")
    held: list[tuple[int, OutgoingRecord]] = []
    for number, emission in enumerate(emissions):
        yield from _released(held, number)
        record = OutgoingRecord(emission.partition, emission.key, emission.event.to_json())
        if emission.key is None:
            yield record
            continue
        movable = emission.event.type != "loan_opened"
        if movable and draw.random() < config.disorder:
            held.append((number + draw.randint(1, _MOST_DELAY), record))
        else:
            yield record
        if draw.random() < config.duplicates:
            tally.duplicates += 1
            held.append((number + draw.randint(1, _MOST_DELAY) + _MOST_DELAY, record))
        if draw.random() < config.malformed:
            kind = draw.choice(MALFORMED_KINDS)
            tally.malformed[kind] += 1
            yield record._replace(value=spoil(record.value, kind, sum(tally.malformed.values())))
    yield from (record for _, record in held)


def spoil(value: bytes, kind: str, number: int) -> bytes:
    """A message that must not be applied, made from a good one."""
    if kind == "malformed_json":
        return value[: len(value) // 2]
    body: dict[str, Any] = json.loads(value)
    body["event_id"] = f"spoilt-{number}-{body['event_id']}"[:64]
    if kind == "missing_field":
        del body["occurred_at"]
    elif kind == "unknown_type":
        body["type"] = "payment_promised"
    elif kind == "future_date":
        body["occurred_at"] = "2199-01-01T00:00:00Z"
    else:
        payment = {"type": "payment_received", "amount": "10.00", "channel": "cash", "value_date": "2025-01-01"}
        common = ("schema_version", "event_id", "borrower_id", "loan_id", "occurred_at")
        body = {name: body[name] for name in common} | payment
        if kind == "negative_amount":
            body["amount"] = "-10.00"
        else:
            body["loan_id"] = "no-such-loan"
    return json.dumps(body).encode()


def _released(held: list[tuple[int, OutgoingRecord]], now: int) -> Iterator[OutgoingRecord]:
    due = [record for until, record in held if until <= now]
    held[:] = [(until, record) for until, record in held if until > now]
    yield from due
