"""riskmon with one part that hangs or fails: `python -m tests.integration.broken PART COMMAND …`."""

import asyncio
import sys
from typing import Any

from streams.command.app import main
from streams.learner.app import Learner
from streams.worker.batches import BatchWork
from streams.worker.recovery import Recovery


async def _hang(*_: Any, **__: Any) -> None:
    await asyncio.Event().wait()


async def _fail(*_: Any, **__: Any) -> None:
    raise RuntimeError("nobody thought of this")


PARTS = {
    "batch hangs": (BatchWork, "decide", _hang),
    "batch fails": (BatchWork, "decide", _fail),
    "recovery hangs": (Recovery, "load", _hang),
    "recovery fails": (Recovery, "load", _fail),
    "learner hangs": (Learner, "_turn", _hang),
    "learner fails": (Learner, "_turn", _fail),
}

if __name__ == "__main__":
    room, name, broken = PARTS[sys.argv.pop(1)]
    setattr(room, name, broken)
    main()
