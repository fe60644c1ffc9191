"""Why an event can be refused: the codes of dead letters, and the error that carries one."""

from __future__ import annotations

from pathlib import Path
from traceback import walk_tb
from typing import Literal

RefusalReason = Literal[
    "invalid_event",
    "bad_timestamp",
    "key_mismatch",
    "wrong_partition",
    "future_date",
    "too_late",
    "before_opening",
    "unknown_payment",
    "unknown_loan",
    "unknown_instalment",
    "loan_exists",
    "too_many_loans",
    "bad_terms",
    "loan_closed",
    "bad_bill",
    "bad_hold",
    "too_many_holds",
    "ledger_full",
    "internal_error",
    "invalid_label",
    "undecodable",
    "too_large",
]
"""Every code by which a message is refused: the header of its dead letter, and a metric's label."""


class EventRefusedError(ValueError):
    """An event that is well formed but cannot be true of this account. `reason` is a short, bounded code."""

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


_MOST_FRAMES = 8


def trace_of(error: BaseException) -> str:
    """An error's type and where it was raised, innermost frame last. No messages: they may repeat personal values."""
    frames = [
        f"{'/'.join(Path(frame.f_code.co_filename).parts[-2:])}:{line}:{frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    return f"{type(error).__name__} at {' > '.join(frames[-_MOST_FRAMES:])}"[:1000]
