"""Why an event can be refused: the codes of dead letters, and the error that carries one."""

from __future__ import annotations

from typing import Literal

RefusalReason = Literal[
    "invalid_event",
    "key_mismatch",
    "wrong_partition",
    "future_date",
    "too_late",
    "unknown_loan",
    "unknown_instalment",
    "loan_exists",
    "too_many_loans",
    "bad_terms",
    "ledger_full",
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
