"""How long work may stand still: not a moment of the time that Kafka did not answer counts."""

import time

import pytest

from streams.kafka.broker_watch import BrokerWatch
from streams.kafka.connection import Connection


@pytest.mark.parametrize(
    ("away", "answering_for", "at_work_for", "stands_still"),
    [
        (True, 1000, 1000, False),
        (False, 1000, 1000, True),
        (False, 1000, 5, False),
        (False, 5, 1000, False),
        (False, 1000, None, False),
    ],
)
def test_work_stands_still_only_while_kafka_answers(
    away: bool, answering_for: float, at_work_for: float | None, stands_still: bool
) -> None:
    watch, now = BrokerWatch(Connection("nowhere:1")), time.monotonic()
    watch.away, watch._answering_since = away, now - answering_for
    assert watch.stands_still(None if at_work_for is None else now - at_work_for, 60) is stands_still
