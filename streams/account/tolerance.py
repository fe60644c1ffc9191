"""The one rule of how much may be open of an obligation before it counts as unpaid.

Days past due, missed count, buckets, default status and labels all ask here: a cent never makes a borrower late.
"""

from __future__ import annotations

from streams.account.rules import AccountRules

_WHOLE = 10_000


def tolerance(amount: int, rules: AccountRules, scale: int = 100) -> int:
    """Minor units that may be open of an obligation of `amount`: the larger of a fixed sum and a share of it.

    `scale` is the number of minor units in a unit of the loan's currency. What is open is counted up to and including
    the obligation, so that small shortfalls add up.
    """
    fixed = rules.tolerance_minor if scale == 100 else rules.tolerance_minor * scale // 100
    share = amount * rules.tolerance_share_e4 // _WHOLE
    return fixed if fixed > share else share
