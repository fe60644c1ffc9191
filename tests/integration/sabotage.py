"""riskmon that stops, fails or hangs at a named step: `python -m tests.integration.sabotage ORDER COMMAND …`.

ORDER is a file. When it holds "freeze rows", the process suspends itself (SIGSTOP) the next time it is about to write
rows, and "fail rows" makes that step raise; "hang rows" makes it wait for ever. An order is carried out once.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from streams.command.app import main
from streams.contracts.topics import ACTIONS, DEADLETTER, LABELS
from streams.kafka.producer import Sink
from streams.worker.batches import BatchWork
from streams.worker.offsets import OffsetCommits
from streams.worker.ownership import KafkaLog
from streams.worker.table import AccountsTable
from streams.write import Changelog


class SabotageError(RuntimeError):
    """The order was to fail."""


class Saboteur:
    """Carries out the order when the step comes."""

    def __init__(self, order: Path) -> None:
        self._order = order

    def at(self, step: str) -> bool:
        """Freeze or fail, if that is the order; whether it is to hang."""
        if not self._order.exists():
            return False
        what, where = self._order.read_text().split()
        if where != step:
            return False
        self._order.unlink()
        if what == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif what == "fail":
            raise SabotageError(f"sabotage of {step}")
        return what == "hang"

    def wrap(self, owner: Any, name: str, step: Callable[[Any], str]) -> None:
        """Let a coroutine function begin with the order of its step, which its first argument may decide."""
        original: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def sabotaged(*args: Any, **kwargs: Any) -> Any:
            if self.at(step(args[1] if len(args) > 1 else None)):
                await asyncio.sleep(3600)
            return await original(*args, **kwargs)

        setattr(owner, name, sabotaged)

    def wrap_plain(self, owner: Any, name: str, step: str) -> None:
        """The same for a plain function."""
        original = getattr(owner, name)

        def sabotaged(*args: Any, **kwargs: Any) -> Any:
            self.at(step)
            return original(*args, **kwargs)

        setattr(owner, name, sabotaged)


def step_of_messages(messages: Any) -> str:
    topics = {each.topic for each in messages}
    return "letters" if DEADLETTER in topics else "messages" if topics & {ACTIONS, LABELS} else "other"


if __name__ == "__main__":
    saboteur = Saboteur(Path(sys.argv.pop(1)))
    saboteur.wrap(Changelog, "_claim", lambda _: "claim")
    saboteur.wrap(BatchWork, "decide", lambda _: "decide")
    saboteur.wrap(Sink, "write", step_of_messages)
    saboteur.wrap(KafkaLog, "write_once", lambda _: "rows")
    saboteur.wrap_plain(AccountsTable, "write", "store")
    saboteur.wrap(OffsetCommits, "_commit", lambda _: "commit")
    main()
