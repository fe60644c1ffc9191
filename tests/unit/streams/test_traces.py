"""What counts as a borrower's message, and until when a topic keeps it."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from streams.contracts.topics import ACTIONS, DEADLETTER, EVENTS
from streams.history import traces
from streams.history.traces import Trace, Traces, names

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY_MS = 86_400_000


def message(topic: str, key: bytes | None, value: bytes | None, timestamp: int = 0) -> Any:
    return SimpleNamespace(topic=topic, key=key, value=value, timestamp=timestamp)


@pytest.mark.parametrize(
    ("found", "is_named"),
    [
        (message(EVENTS, b"B1", b"{}"), True),
        (message(EVENTS, b"B10", b'{"borrower_id":"B10"}'), False),
        (message(DEADLETTER, b"B2", b'{"borrower_id": "B1"}'), True),
        (message(DEADLETTER, None, b'cut off {"borrower_id":"B1","amo'), True),
        (message(DEADLETTER, None, None), False),
        (message(ACTIONS, b"B2", b'{"borrower_id":"B1"}'), False),
    ],
)
def test_a_message_is_the_borrowers_by_key_or_by_its_text(found: Any, is_named: bool) -> None:
    assert names(found, "B1") is is_named


def test_an_id_with_quotes_is_searched_as_json_writes_it() -> None:
    assert names(message(DEADLETTER, None, rb'{"borrower_id":"O\"Neil\\"}'), 'O"Neil\\')


def test_a_message_is_gone_once_its_whole_segment_has_expired() -> None:
    config = {"retention.ms": str(10 * DAY_MS), "segment.ms": str(7 * DAY_MS)}
    written = message(EVENTS, b"B1", b"{}", round(NOW.timestamp() * 1000))
    trace = traces._trace(EVENTS, [written], NOW, config, searched_all=True)
    assert trace == Trace(EVENTS, 1, True, NOW, datetime(2026, 3, 18, 0, 5, tzinfo=UTC))


def test_without_a_limit_or_with_one_that_may_not_be_read_no_time_is_promised() -> None:
    written = message(EVENTS, b"B1", b"{}", round(NOW.timestamp() * 1000))
    for config in ({"retention.ms": "-1", "segment.ms": "1"}, {}, {"retention.ms": str(2**63 - 1), "segment.ms": "1"}):
        assert traces._trace(EVENTS, [written], NOW, config, searched_all=True).gone_by is None


def test_a_time_stamp_in_microseconds_breaks_nothing() -> None:
    written = message(EVENTS, b"B1", b"{}", round(NOW.timestamp() * 1_000_000))
    config = {"retention.ms": str(10 * DAY_MS), "segment.ms": str(7 * DAY_MS)}
    assert traces._trace(EVENTS, [written], NOW, config, searched_all=True).gone_by is None


def test_a_borrower_of_whom_only_old_rows_wait_for_compaction_is_known() -> None:
    none = tuple(Trace(topic, 0, True, None, NOW) for topic in (EVENTS, ACTIONS))
    assert Traces((), 0, None, none, 0).is_unknown
    assert not Traces((), 2, None, none, 0).is_unknown
