"""Holds: spans of days in which days past due stand still, nobody is contacted, or the strategy stays.

The first and the last day are held. What a hold covers follows from what was told of it, in whatever order: a lifting
may come before its placing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from msgspec.structs import replace

from streams.account.loan import Account, Hold, Loan, digest
from streams.account.rules import MAX_HOLDS, AccountRules
from streams.contracts.events import HoldLifted, HoldPlaced
from streams.contracts.refusals import EventRefusedError

OPEN_END = date(2999, 12, 31).toordinal()


def place(event: HoldPlaced, account: Account, oldest_day: int) -> Account:
    """The account with one more hold. Raises `EventRefusedError`."""
    first = event.from_date.toordinal()
    last = event.until_date.toordinal() if event.until_date else OPEN_END
    if last < first:
        raise EventRefusedError("bad_hold", "until_date: before from_date")
    if first < oldest_day:
        raise EventRefusedError("too_late", "from_date: lies before the ledger window")
    name = digest(event.hold_id)
    known = next((hold for hold in account.holds if hold.name == name), None)
    if known is not None and known.effect:
        raise EventRefusedError("bad_hold", "hold_id: another hold of the borrower has it")
    lifted = known.lifted if known else 0
    placed = Hold(name, event.loan_id or "", event.effect, first, last, lifted, event.reason)
    for other in account.holds:
        if other.name != name and _overlap(placed, other):
            raise EventRefusedError("bad_hold", f"from_date: overlaps another hold on {event.effect} of the same loan")
    return _with(account, placed)


def lift(event: HoldLifted, account: Account, oldest_day: int) -> Account:
    """The account with a hold lifted; the hold may still be to come. Raises `EventRefusedError`."""
    day, name = event.lifted_on.toordinal(), digest(event.hold_id)
    if day < oldest_day:
        raise EventRefusedError("too_late", "lifted_on: lies before the ledger window")
    known = next((hold for hold in account.holds if hold.name == name), Hold(name))
    # Lifted more than once, the earlier day counts: so the order of telling does not.
    return _with(account, replace(known, lifted=min(day, known.lifted) if known.lifted else day))


def held_days(account: Account, loan_id: str) -> tuple[tuple[int, int], ...]:
    """The spans in which days past due of a loan stand still, in order and apart."""
    spans: list[tuple[int, int]] = []
    for hold in sorted(account.holds, key=lambda each: each.first):
        if hold.effect != "dpd" or hold.loan_id not in ("", loan_id) or hold.end < hold.first:
            continue
        if spans and hold.first <= spans[-1][1] + 1:
            spans[-1] = spans[-1][0], max(spans[-1][1], hold.end)
        else:
            spans.append((hold.first, hold.end))
    return tuple(spans)


def in_force(account: Account, effect: str, loan_id: str) -> bool:
    """Whether a hold with this effect covers the account's present day for the loan."""
    if not account.holds:
        return False
    today = present_day(account)
    return any(
        hold.effect == effect and hold.loan_id in ("", loan_id) and hold.first <= today <= hold.end
        for hold in account.holds
    )


def present_day(account: Account) -> int:
    """The day on which somebody could act: that of the newest event, or the one after the day just closed."""
    return max([account.as_of, *(loan.last_over + 1 for loan in account.loans)])


def change_days(account: Account) -> list[int]:
    """The days at whose close a hold begins or ends to cover the next day."""
    today = present_day(account)
    days = [hold.first - 1 for hold in account.holds if hold.effect and hold.first > today]
    return days + [hold.end for hold in account.holds if hold.effect and hold.first <= hold.end >= today]


def without_old(account: Account, rules: AccountRules, oldest_unpaid: int) -> Account:
    """The account without holds that ended before all that is unpaid and before the ledger window."""
    horizon = min(account.as_of - rules.ledger_days, oldest_unpaid)
    kept = tuple(hold for hold in account.holds if max(hold.end, hold.lifted) >= horizon)
    return account if len(kept) == len(account.holds) else replace(account, holds=kept)


def covered(spans: Sequence[tuple[int, int]], after: int, until: int) -> int:
    """How many of the days after one and up to another are held."""
    return sum(max(min(last, until) - max(first, after + 1) + 1, 0) for first, last in spans)


def days_late(loan: Loan, due: int, day: int) -> int:
    """Days past due on `day` of an obligation due on `due`: held days do not count."""
    late = day - due
    return late - covered(loan.held, due, day) if loan.held and late > 0 else late


def day_when(loan: Loan, due: int, late: int) -> int:
    """The first day on which an obligation due on `due` is so many days late."""
    day = due + late
    for first, last in loan.held:
        if first > day:
            break
        day += max(last - max(first, due + 1) + 1, 0)
    return day


def is_touched(loan: Loan, first: int, last: int) -> bool:
    """Whether days past due stood still on one of these days."""
    return any(begin <= last and end >= first for begin, end in loan.held)


def _overlap(one: Hold, other: Hold) -> bool:
    if one.effect != other.effect or one.loan_id != other.loan_id:
        return False
    return max(one.first, other.first) <= min(one.end, other.end)


def _with(account: Account, hold: Hold) -> Account:
    others = [each for each in account.holds if each.name != hold.name]
    if len(others) >= MAX_HOLDS:
        raise EventRefusedError("too_many_holds", f"more than {MAX_HOLDS} holds inside the ledger window")
    return replace(account, holds=tuple(sorted((*others, hold), key=lambda each: (each.first, each.name))))
