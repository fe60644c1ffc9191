"""The job in Quix Streams: a stateful function on a streaming dataframe, with its RocksDB store and its changelog."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from quixstreams import Application, State

from benchmarks.material import Material
from benchmarks.rivals.by_event import ByEvent
from streams.contracts.records import Record
from streams.contracts.topics import ACTIONS, DEADLETTER, EVENTS, LABELS


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--material", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--group", required=True)
    options = parser.parse_args()
    app = Application(
        broker_address=options.bootstrap,
        consumer_group=options.group,
        auto_offset_reset="earliest",
        commit_interval=0.5,
        state_dir=options.state,
        loglevel="WARNING",
    )
    topics = {
        "action": app.topic(ACTIONS, value_serializer="bytes"),
        "label": app.topic(LABELS, value_serializer="bytes"),
        "dead_letter": app.topic(DEADLETTER, value_serializer="bytes"),
    }
    job = _Job(Material(options.material))
    events = app.topic(EVENTS, value_deserializer="bytes")
    decided = (
        app.dataframe(events).apply(job.keep_metadata, metadata=True).apply(job.decide, stateful=True, expand=True)
    )
    for kind, topic in topics.items():
        chosen = decided[decided.apply(lambda sent, kind=kind: sent[0] == kind)]
        chosen.apply(lambda sent: sent[1]).to_topic(topic)
    app.run()


class _Job:
    def __init__(self, material: Material) -> None:
        self._state: State | None = None
        self._by_event = ByEvent(material.model_set(), self._row)
        self._offset = 0

    def keep_metadata(self, value: bytes, key: bytes, timestamp: int, _headers: Any) -> Record:
        self._offset += 1
        return Record(0, self._offset, key, value, timestamp)

    def decide(self, record: Record, state: State) -> list[tuple[str, bytes]]:
        self._state = state
        result = self._by_event.decide(record)
        for _, row in result.rows.values():
            state.set_bytes("row", row)
        refused = [("dead_letter", letter.record.value or b"") for letter in result.dead_letters]
        return refused + [(sent.kind, sent.value) for _, sent in result.outgoing]

    def _row(self, _key: str) -> bytes | None:
        return self._state.get_bytes("row") if self._state else None


if __name__ == "__main__":
    main()
