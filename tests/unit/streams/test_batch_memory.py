"""What a batch held is free again when it is done: Python looks for circles seldom in a worker."""

import gc
import weakref
from datetime import UTC, datetime

from streams.contracts.records import Record
from streams.decide import Batch, Engine, Rules
from tests.support.factories import opened
from tests.unit.streams.test_topic_pin import BOOK


def test_a_batch_is_in_no_circle() -> None:
    now = datetime(2025, 6, 1, tzinfo=UTC)
    stamp = int(now.timestamp() * 1000)
    records = [Record(0, 0, b"B1", opened().to_json(), stamp), Record(0, 1, b"B1", b"{", stamp)]
    gc.disable()
    try:
        batch = Batch(Engine(Rules(), lambda _: None), records, BOOK, now)
        assert len(list(batch.steps())) > 0
        assert len(batch.result.dead_letters) == 1
        gone = weakref.ref(batch)
        del batch
        assert gone() is None
    finally:
        gc.enable()
