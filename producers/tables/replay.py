"""A table of borrowers, one row each, turned into the dated events that lead to each row's state."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pandas as pd

from producers.faults import OutgoingRecord
from producers.simulator.simulate import GRACE_DAYS
from streams.contracts.due_dates import due_day, instalments_due_before
from streams.contracts.events import DayClosed, EmiMissed, LoanEvent, LoanOpened, PaymentReceived, Profile, Terms

_EMPLOYMENT = {"salaried": "salaried", "self-employed": "self_employed", "self_employed": "self_employed"}
# A missed instalment that was caught up is paid this long after its due date.
_LATE_DAYS = GRACE_DAYS + 5
# A loan that is not past due had its last due date this long ago, so that also a late payment has come in.
_LAST_DUE_AGO = 14


class ContradictionError(ValueError):
    """A row no history can lead to."""


@dataclass(frozen=True)
class ReplayPlan:
    """The messages in order of time, and the borrowers whose rows contradict themselves, with the reason."""

    records: list[OutgoingRecord]
    refused: list[tuple[str, str]]


def plan_replay(frame: pd.DataFrame, as_of: date, partitions: int) -> ReplayPlan:
    """The events of a checked table's borrowers in order of time, then the close of `as_of` on every partition."""
    events: list[LoanEvent] = []
    refused: list[tuple[str, str]] = []
    for row in table_rows(frame):
        try:
            events.extend(_history(row, as_of))
        except ValueError as error:
            refused.append((str(row["Borrower_ID"]), str(error).splitlines()[0]))
    events.sort(key=lambda event: event.occurred_at)
    records = [OutgoingRecord(None, event.borrower_id.encode(), event.to_json()) for event in events]
    return ReplayPlan(records + [_tick(as_of, partition) for partition in range(partitions)], refused)


def table_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries by column."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _tick(day: date, partition: int) -> OutgoingRecord:
    tick = DayClosed(
        event_id=f"replay-day-{day.isoformat()}-{partition}",
        occurred_at=datetime.combine(day, time(23, 59, 59), UTC),
        business_date=day,
        partition=partition,
    )
    return OutgoingRecord(partition, None, tick.to_json())


def _history(row: dict[str, Any], as_of: date) -> list[LoanEvent]:
    """One borrower's loan from its opening to `as_of`: all paid on time but the row's missed instalments.

    The last instalments are the unpaid ones; any other missed instalments were paid late just before them.
    """
    tenure, missed, dpd = int(row["Loan_Tenure"]), int(row["Num_Missed_Payments"]), int(row["Days_Past_Due"])
    unpaid_due, due = _place(tenure, missed, dpd, as_of.toordinal())
    due, first_due = _first_due(unpaid_due, due, tenure, as_of.toordinal() - (dpd if unpaid_due else _LAST_DUE_AGO))
    loan_id = f"{row['Borrower_ID']}-loan"
    names = {"borrower_id": str(row["Borrower_ID"]), "loan_id": loan_id}
    opened = LoanOpened(
        **names,
        event_id=f"{loan_id}-open",
        occurred_at=_at(first_due - 28, 6),
        profile=profile(row),
        terms=terms(row, first_due),
    )
    events: list[LoanEvent] = [opened]
    counted = sum(due_day(first_due, n) + GRACE_DAYS < as_of.toordinal() for n in _unpaid(due, unpaid_due))
    late = set(range(due - unpaid_due - (missed - counted) + 1, due - unpaid_due + 1))
    for number in range(1, due + 1):
        day = due_day(first_due, number)
        is_unpaid = number > due - unpaid_due
        if (number in late or is_unpaid) and day + GRACE_DAYS < as_of.toordinal():
            events.append(
                EmiMissed(
                    **names,
                    event_id=f"{loan_id}-missed-{number}",
                    occurred_at=_at(day + GRACE_DAYS + 1, 8),
                    instalment_number=number,
                    due_date=date.fromordinal(day),
                )
            )
        if not is_unpaid:
            paid_on = day + _LATE_DAYS if number in late else day
            events.append(
                PaymentReceived(
                    **names,
                    event_id=f"{loan_id}-pay-{number}",
                    occurred_at=_at(paid_on, 12),
                    amount=opened.terms.emi,
                    channel="direct_debit",
                    value_date=date.fromordinal(paid_on),
                )
            )
    return events


def _place(tenure: int, missed: int, dpd: int, as_of: int) -> tuple[int, int]:
    """How many instalments are unpaid, and how many have fallen due. Raises for a row that cannot be."""
    if missed > tenure:
        raise ContradictionError(f"{missed} instalments missed of a loan that has {tenure}")
    if dpd > GRACE_DAYS and missed == 0:
        raise ContradictionError(f"{dpd} days past due, but no instalment missed")
    if dpd == 0:
        # Late payments need a month each, and the last one must have come in.
        return 0, min(max(missed + 1, 3), tenure)
    first_unpaid = as_of - dpd
    fell_due = instalments_due_before(first_unpaid, 1200, as_of)
    counted = sum(due_day(first_unpaid, n) + GRACE_DAYS < as_of for n in range(1, fell_due + 1))
    if missed >= counted:
        if fell_due + missed - counted > tenure:
            raise ContradictionError(f"{missed} missed and {dpd} days past due do not fit into {tenure} instalments")
        return fell_due, min(max(fell_due + missed - counted, fell_due + 1), tenure)
    # Fewer missed than months gone by: the loan's last instalments are the unpaid ones, none fell due since.
    return missed, tenure


def _unpaid(due: int, unpaid: int) -> range:
    return range(due - unpaid + 1, due + 1)


def _first_due(unpaid: int, due: int, tenure: int, anchor: int) -> tuple[int, int]:
    """The number of instalments fallen due, and the first due day that puts the oldest unpaid one on `anchor`.

    On the 29th to 31st not every first month will do: a loan a few months older then has the same state.
    """
    wanted = date.fromordinal(anchor)
    for fallen_due in range(due, tenure + 1):
        months_back = fallen_due - (unpaid or 1)
        total = wanted.year * 12 + wanted.month - 1 - months_back
        for day in range(wanted.day, 32):
            with suppress(ValueError):
                first = date(total // 12, total % 12 + 1, day).toordinal()
                if due_day(first, months_back + 1) == anchor:
                    return fallen_due, first
    raise ContradictionError(f"no monthly due date falls on {wanted.isoformat()} within {tenure} instalments")


def profile(row: dict[str, Any]) -> Profile:
    """The borrower as a row describes them."""
    gender = str(row["Gender"]).strip().lower()
    employment = str(row["Employment_Type"]).strip().lower().replace(" ", "-")
    return Profile.model_validate(
        {
            "age": int(row["Age"]),
            "gender": gender if gender in ("female", "male", "other") else "undisclosed",
            "employment_type": _EMPLOYMENT.get(employment, "unemployed"),
            "monthly_income": _money(row["Monthly_Income"]),
            "num_dependents": int(row["Num_Dependents"]),
            "collateral_value": _money(row["Collateral_Value"]),
        }
    )


def terms(row: dict[str, Any], first_due: int) -> Terms:
    """The loan's terms as a row describes them; `first_due` is an ordinal."""
    return Terms(
        principal=_money(row["Loan_Amount"]),
        annual_rate=Decimal(str(round(float(row["Interest_Rate"]), 4))),
        tenure_months=int(row["Loan_Tenure"]),
        emi=_money(row["Monthly_EMI"]),
        first_due_date=date.fromordinal(first_due),
    )


def _money(value: float) -> Decimal:
    if not math.isfinite(value):
        raise ContradictionError("an amount is not a number")
    return Decimal(str(value)).quantize(Decimal("0.01"))


def _at(day: int, hour: int) -> datetime:
    return datetime.combine(date.fromordinal(day), time(hour), UTC)
