"""No job at all: read and decode JSON, with the fastest client. What any system in Python can at most reach."""

from __future__ import annotations

import argparse
import json

from confluent_kafka import Consumer

from streams.contracts.topics import EVENTS


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--group", required=True)
    options = parser.parse_args()
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": options.group,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 500,
        }
    )
    consumer.subscribe([EVENTS])
    while True:
        for message in consumer.consume(1000, 0.5):
            if message.error() is None:
                json.loads(message.value())


if __name__ == "__main__":
    main()
