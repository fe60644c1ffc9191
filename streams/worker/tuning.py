"""How a process that works through batches wants Python to be set."""

from __future__ import annotations

import gc

# A batch makes some hundred values an event, and no cycles: Python's default, a look at them every 700, costs a fifth.
_THRESHOLDS = (100_000, 20, 100)


def tune_garbage_collection() -> None:
    """Look for cycles seldom."""
    gc.set_threshold(*_THRESHOLDS)
