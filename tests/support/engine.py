"""The engine without Kafka for the tests: a small genuine forest, a dict as the table, records with offsets."""

import json
import time
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from models.serving.forest import Calibration, Forest
from models.serving.segments import Segmenter
from producers.faults import FaultConfig, FaultTally
from producers.publisher import simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.account.admission import Placement
from streams.account.codec import CLOCK_PREFIX, BorrowerState, decode_clock, decode_state
from streams.contracts.events import LoanEvent
from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.records import Record
from streams.contracts.vocabulary import Segment
from streams.decide import BatchResult, Engine, Rules
from streams.history.offline import number_offsets
from streams.score import ModelSet

NOW = datetime.now(UTC)
PARTITIONS = 2


def small_book() -> ModelSet:
    """A real, small forest: risk rises with days past due. Two segments, parted at 15 days past due."""
    draw = np.random.default_rng(5)
    rows = draw.random((600, len(FEATURE_NAMES))) * 40
    risky = rows[:, 0] + draw.normal(0, 6, 600) > 20
    classifier = RandomForestClassifier(15, max_depth=6, random_state=1).fit(rows, risky)
    forest = Forest.from_sklearn(classifier, FEATURE_NAMES, Calibration(), "test")
    centres = np.array([[0, 0, 0, 0, 0], [0, 0, 0, 0, 30.0]])
    names = (Segment.BALANCED, Segment.HIGH_LOAN_HIGHER_RISK)
    return ModelSet(forest, Segmenter(np.zeros(5), np.array([1e9, 1e9, 1e9, 1e9, 1]), centres, names))


def simulated(faults: FaultConfig, tally: FaultTally) -> list[Record]:
    """The life of 60 borrowers, published just now."""
    config = SimulationConfig(borrowers=60, days=150, seed=3, partitions=PARTITIONS)
    messages = simulated_records(config, faults, tally)
    return list(number_offsets(messages, lambda key: zlib.crc32(key) % PARTITIONS, int(time.time() * 1000)))


def lived_day_by_day(records: Sequence[Record], *, early: int = 0) -> list[Record]:
    """The same, each record published on its own day; every so many payments one more that is dated four days ahead."""
    today, lived, payments = date(2025, 1, 1), [], 0
    for record in records:
        value = record.value or b""
        stamp = int(datetime(today.year, today.month, today.day, 12, tzinfo=UTC).timestamp() * 1000)
        lived.append((record.partition, record.key, value, stamp))
        if record.key is None:
            today = date.fromisoformat(json.loads(value)["business_date"]) + timedelta(days=1)
        elif early and b'"payment_received"' in value and value.endswith(b"}"):
            payments += 1
            if payments % early == 0:
                ahead = f"{today + timedelta(days=4)}T12:00:00Z"
                body = json.loads(value) | {"event_id": f"early-{payments}", "occurred_at": ahead}
                lived.append((record.partition, record.key, json.dumps(body).encode(), stamp))
    offsets = [0] * PARTITIONS
    numbered = []
    for partition, key, value, stamp in lived:
        numbered.append(Record(partition, offsets[partition], key, value, stamp))
        offsets[partition] += 1
    return numbered


def in_batches(records: Sequence[Record], size: int) -> Iterator[Sequence[Record]]:
    return (records[at : at + size] for at in range(0, len(records), size))


def stamp(day: date) -> int:
    """Kafka's time stamp at noon of a day."""
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)


def record(offset: int, key: bytes | None, value: bytes, partition: int = 0) -> Record:
    """A record that is published just now."""
    return Record(partition, offset, key, value, int(time.time() * 1000))


def records_of(*events: object, first: int = 0) -> list[Record]:
    """These events one after another on partition 0, published just now."""
    return [
        record(first + at, event.borrower_id.encode() if isinstance(event, LoanEvent) else None, event.to_json())  # type: ignore[attr-defined]
        for at, event in enumerate(events)
    ]


class Run:
    """An engine with a dict as its table, and what it sent and refused."""

    def __init__(self, book: ModelSet, rules: Rules | None = None, place: Placement | None = None) -> None:
        self.book = book
        self.rules = rules or Rules()
        self.place = place
        self.table: dict[str, bytes] = {}
        self.sent: list[tuple[int, str, bytes]] = []
        self.refused: list[tuple[int, int, bytes | None, str, str]] = []
        self.engine = Engine(self.rules, self.table.get, place)

    def take(self, batch: Sequence[Record]) -> BatchResult:
        """Decide a batch and write all of it."""
        result = self.engine.process(batch, self.book, NOW)
        self.refuse(result)
        self.table.update({key: row for key, (_, row) in result.rows.items()})
        self.sent.extend((partition, each.kind, each.value) for partition, each in result.outgoing)
        return result

    def refuse(self, result: BatchResult) -> None:
        """Write the dead letters."""
        for letter in result.dead_letters:
            origin = letter.record
            self.refused.append((origin.partition, origin.offset, origin.key, letter.reason, letter.detail))

    def recover(self) -> None:
        """Start over from the table."""
        self.engine = Engine(self.rules, self.table.get, self.place)
        rows = self.table.items()
        self.engine.load(
            [decode_state(row) for key, row in rows if not key.startswith(CLOCK_PREFIX)],
            [decode_clock(row) for key, row in rows if key.startswith(CLOCK_PREFIX)],
            {},
        )

    def states(self) -> dict[str, tuple[object, ...]]:
        """What is known of every borrower, without the outboxes."""

        def facts(state: BorrowerState) -> tuple[object, ...]:
            return state.account, state.decision, state.partition, state.applied_offset

        return {key: facts(decode_state(row)) for key, row in self.table.items() if not key.startswith(CLOCK_PREFIX)}
