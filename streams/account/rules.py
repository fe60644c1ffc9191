"""The lender's conventions, and the bounds of what is remembered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from streams.account.working_days import WorkingDays
from streams.contracts.money import MINOR_UNITS

MAX_REMEMBERED = 256
MAX_LEDGER = 256
MAX_CLOSED_LOANS = 24
MAX_MILESTONES = 8
MAX_HOLDS = 32
MAX_CHANGES = 16


MAX_LOANS = 8


MAX_DAYS_TO_FIRST_DUE = 400


MAX_OBLIGATIONS = 10_000
MAX_BILLS = 256


MAX_FOLDED_MINOR = 10**18
"""Payments summed up beyond this are more than a state can hold."""


@dataclass(frozen=True)
class AccountRules:
    """The lender's conventions. Materiality follows the EBA's definition of default (EBA/GL/2016/07).

    Amounts are in hundredths of a unit of whatever currency; shares are in ten-thousandths (50 is 0.5 %).
    """

    grace_days: int = 3
    ledger_days: int = 120
    default_dpd: int = 90
    probation_days: int = 90
    materiality_minor: int = 100 * MINOR_UNITS
    materiality_percent: int = 1
    tolerance_minor: int = 1 * MINOR_UNITS
    tolerance_share_e4: int = 50
    working_days: WorkingDays | None = None
    zone: tzinfo | None = None
    reversal_days: int = 5
    recovery_days: int = 1825

    def business_day(self, moment: datetime) -> int:
        """The lender's day (ordinal) of a moment in UTC; without a zone the days are those of UTC."""
        return (moment.astimezone(self.zone) if self.zone else moment).date().toordinal()
