"""How far a partition is: what is written counts, not what was fetched; and what an open transaction holds."""

from typing import Any

from faust.types import TP

from streams.contracts.topics import EVENTS
from streams.kafka.topic_state import LogSpan
from streams.worker.gauges import HeldSince
from streams.worker.offsets import OffsetCommits


class App:
    """A Faust app of which only the commits are asked."""

    def __init__(self) -> None:
        self.consumer: Any = self
        self.commits: list[dict[TP, int]] = []

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        self.commits.append(offsets)
        return True


async def test_the_next_offset_is_that_of_what_is_durable_also_once_it_is_committed() -> None:
    app = App()
    offsets = OffsetCommits(app, 1)
    offsets.begin({0: 7, 1: 3})
    assert offsets.next_offset(0) == 7
    offsets.done({0: 9})
    await offsets.commit(1)
    await offsets.commit(1)
    assert app.commits == [{TP(EVENTS, 0): 9}]
    assert (offsets.next_offset(0), offsets.next_offset(1)) == (9, 3)
    offsets.forget()
    assert offsets.next_offset(0) == 0


def test_a_transaction_is_held_from_when_its_end_stands_still() -> None:
    held = HeldSince()
    assert held.seconds(0, LogSpan(0, 10, 10), 100) == 0
    assert held.seconds(0, LogSpan(0, 10, 12), 101) == 0
    assert held.seconds(0, LogSpan(0, 10, 90), 111) == 10
    assert held.seconds(1, LogSpan(0, 10, 90), 111) == 0
    # That one has ended, and the next is open.
    assert held.seconds(0, LogSpan(0, 50, 91), 112) == 0
    assert held.seconds(0, LogSpan(0, 50, 91), 113) == 1
    assert held.seconds(0, LogSpan(0, 91, 91), 114) == 0
    assert held.seconds(0, LogSpan(0, 91, 92), 120) == 0
