"""Words that several contracts share: delinquency buckets, strategies, segments, default statuses."""

from __future__ import annotations

from enum import StrEnum

CLOSED = "closed"


BUCKETS = ("current", "1-29", "30-59", "60-89", "90+", CLOSED)
"""The delinquency buckets, and where a borrower without an open loan is counted."""


class LoanStatus(StrEnum):
    """Default status: in default from 90 DPD, then a probation after the arrears are cleared."""

    PERFORMING = "performing"
    DEFAULT = "default"
    PROBATION = "probation"


class Strategy(StrEnum):
    """What collections should do; NONE once no loan is open."""

    NONE = "none"
    REMINDER = "automated_reminder"
    SETTLEMENT = "settlement_offer"
    RECOVERY = "aggressive_recovery"


class Segment(StrEnum):
    """Four kinds of borrowers, which K-Means finds by income, loan, instalment, missed payments and days past due."""

    HIGH_INCOME_LOW_RISK = "high_income_low_default_risk"
    BALANCED = "balanced"
    MODERATE_INCOME_HIGH_BURDEN = "moderate_income_high_loan_burden"
    HIGH_LOAN_HIGHER_RISK = "high_loan_higher_default_risk"
