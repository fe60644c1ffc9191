"""Where reading goes on after a pause, and what was lost meanwhile."""

import pytest

from streams.kafka.topic_state import LogSpan
from streams.worker.events_topic import expired_unread


@pytest.mark.parametrize(
    ("begin", "committed", "applied", "expired"),
    [
        # Nothing is lost: the commit is kept, also where the state is a little ahead of it.
        (0, 7, 6, range(7, 7)),
        (7, 7, 9, range(7, 7)),
        (5, 7, 6, range(7, 7)),
        # Retention has passed the commit.
        (9, 7, 6, range(7, 9)),
        # A new application reads what there is, and misses nothing.
        (9, None, -1, range(9, 9)),
        (0, None, -1, range(0)),
        # The commit was forgotten: all is read again, but for what is gone.
        (0, None, 6, range(0)),
        (6, None, 6, range(6, 6)),
        (7, None, 6, range(7, 7)),
        (9, None, 6, range(7, 9)),
    ],
)
def test_what_expired_unread(begin: int, committed: int | None, applied: int, expired: range) -> None:
    found = expired_unread(LogSpan(begin, 20, 20), committed, applied)
    assert (found.start, found.stop) == (expired.start, expired.stop)
