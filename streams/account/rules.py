"""The lender's conventions, and the bounds of what is remembered."""

from __future__ import annotations

from dataclasses import dataclass

from streams.contracts.money import MINOR_UNITS

MAX_REMEMBERED = 256


MAX_LOANS = 8


MAX_DAYS_TO_FIRST_DUE = 400


MAX_FOLDED_MINOR = 10**18
"""Payments summed up beyond this are more than a state can hold."""


@dataclass(frozen=True)
class AccountRules:
    """The lender's conventions. Materiality follows the EBA's definition of default (EBA/GL/2016/07)."""

    grace_days: int = 3
    ledger_days: int = 120
    default_dpd: int = 90
    probation_days: int = 90
    materiality_minor: int = 100 * MINOR_UNITS
    materiality_percent: int = 1
