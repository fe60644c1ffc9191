"""A table of borrowers, one row each, turned into the dated events that lead to each row's state."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

import pandas as pd
from pydantic import ValidationError

from producers.faults import OutgoingRecord
from producers.tables.check import Fault, shown
from streams.contracts.base import FIRST_DAY, LAST_DAY
from streams.contracts.due_dates import due_day, instalments_due_before
from streams.contracts.events import (
    DayClosed,
    EmiMissed,
    LoanEvent,
    LoanOpened,
    PaymentReceived,
    Profile,
    Terms,
    terms_problem,
)

_EMPLOYMENT = {"salaried": "salaried", "self-employed": "self_employed", "self_employed": "self_employed"}
# A missed instalment that was caught up is paid so many days after its grace.
_DAYS_AFTER_GRACE = 5
# A loan that is not past due had its last due date this many days ago, so that a late payment may have come in.
_LAST_DUE_AGO = 14
_LEAST_DAYS_IN_MONTH = 28
_MAX_TENURE = 480
_MAX_ID = 64 - len("-loan-missed-480")
_EARLIEST = date(1900, 1, 1).toordinal()
_COLUMN_OF_FIELD = {
    "age": "Age",
    "monthly_income": "Monthly_Income",
    "num_dependents": "Num_Dependents",
    "collateral_value": "Collateral_Value",
    "principal": "Loan_Amount",
    "annual_rate": "Interest_Rate",
    "tenure_months": "Loan_Tenure",
    "emi": "Monthly_EMI",
    "borrower_id": "Borrower_ID",
    "loan_id": "Borrower_ID",
}


class ContradictionError(ValueError):
    """A row no history can lead to; the text names the columns."""


@dataclass(frozen=True)
class ReplayPlan:
    """The messages in order of time, and the rows that no history can lead to."""

    records: list[OutgoingRecord]
    refused: list[Fault]


class _History(NamedTuple):
    """When a loan's instalments fell due, which were paid late, and how many, the last ones, are unpaid."""

    first_due: int
    due: int
    unpaid: int
    late: range
    grace_days: int

    def paid_days(self) -> list[int]:
        """The day on which each paid instalment was paid, oldest first. Payments come in the order of instalments."""
        days: list[int] = []
        for number in range(1, self.due - self.unpaid + 1):
            wait = self.grace_days + _DAYS_AFTER_GRACE if number in self.late else 0
            days.append(max(due_day(self.first_due, number) + wait, days[-1] if days else 0))
        return days

    def missed(self, as_of: int) -> list[tuple[int, int]]:
        """Number and due day of the instalments whose grace ended unpaid before that day."""
        numbers = [*self.late, *range(self.due - self.unpaid + 1, self.due + 1)]
        days = [(number, due_day(self.first_due, number)) for number in numbers]
        return [(number, day) for number, day in days if day + self.grace_days < as_of]


def plan_replay(rows: pd.DataFrame, as_of: date, partitions: int, grace_days: int) -> ReplayPlan:
    """The events of the good rows of a table in order of time, then the close of `as_of` on every partition.

    `grace_days` is the grace by which the table counts missed instalments, and by which the stream will.
    """
    events: list[LoanEvent] = []
    refused: list[Fault] = []
    for number, row in zip(rows.index, table_rows(rows), strict=True):
        try:
            events.extend(_events(row, as_of, grace_days))
        except ValueError as error:
            refused.append(Fault(int(number), shown(row["Borrower_ID"]), row_problem(error)))
    events.sort(key=lambda event: event.occurred_at)
    records = [OutgoingRecord(None, event.borrower_id.encode(), event.to_json()) for event in events]
    # Without events there is nothing that the day's close could change.
    ticks = [_tick(as_of, partition) for partition in range(partitions)] if events else []
    return ReplayPlan(records + ticks, refused)


def table_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries by column."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def row_problem(error: ValueError) -> str:
    """What is wrong with a row in one line, by the table's columns where the contract of events refused it."""
    if not isinstance(error, ValidationError):
        return str(error)
    named = [(str(problem["loc"][-1]), problem["msg"]) for problem in error.errors(include_url=False)]
    return "; ".join(dict.fromkeys(f"{_COLUMN_OF_FIELD.get(field, field)}: {text}" for field, text in named))


def _tick(day: date, partition: int) -> OutgoingRecord:
    tick = DayClosed(
        event_id=f"replay-day-{day.isoformat()}-{partition}",
        occurred_at=datetime.combine(day, time(23, 59, 59), UTC),
        business_date=day,
        partition=partition,
    )
    return OutgoingRecord(partition, None, tick.to_json())


def _events(row: dict[str, Any], as_of: date, grace_days: int) -> list[LoanEvent]:
    """One borrower's loan from its opening to `as_of`: all paid on time but the row's missed instalments."""
    if len(str(row["Borrower_ID"])) > _MAX_ID:
        raise ContradictionError(f"Borrower_ID: longer than {_MAX_ID} characters, which leaves no room in event ids")
    if not FIRST_DAY <= as_of <= LAST_DAY:
        raise ContradictionError(f"the table's day {as_of} lies outside the years {FIRST_DAY.year} to {LAST_DAY.year}")
    history = _history(row, as_of.toordinal(), grace_days)
    loan_id = f"{row['Borrower_ID']}-loan"
    names = {"borrower_id": str(row["Borrower_ID"]), "loan_id": loan_id}
    opened = LoanOpened(
        **names,
        event_id=f"{loan_id}-open",
        occurred_at=_at(history.first_due - 28, 6),
        profile=profile(row),
        terms=terms(row, history.first_due),
    )
    if problem := terms_problem(opened.annuity):
        raise ContradictionError(f"Monthly_EMI, Loan_Tenure, Loan_Amount: {problem}")
    missed = [
        EmiMissed(
            **names,
            event_id=f"{loan_id}-missed-{number}",
            occurred_at=_at(day + grace_days + 1, 8),
            instalment_number=number,
            due_date=date.fromordinal(day),
        )
        for number, day in history.missed(as_of.toordinal())
    ]
    payments = [
        PaymentReceived(
            **names,
            event_id=f"{loan_id}-pay-{number}",
            occurred_at=_at(day, 12),
            amount=opened.annuity.emi,
            channel="direct_debit",
            value_date=date.fromordinal(day),
        )
        for number, day in enumerate(history.paid_days(), start=1)
    ]
    return [opened, *missed, *payments]


def _history(row: dict[str, Any], as_of: int, grace_days: int) -> _History:
    """The last instalments are the unpaid ones; other missed instalments were paid late some time before them."""
    tenure, missed, dpd = int(row["Loan_Tenure"]), int(row["Num_Missed_Payments"]), int(row["Days_Past_Due"])
    if missed > tenure:
        raise ContradictionError(f"Num_Missed_Payments: {missed} missed of a loan with Loan_Tenure {tenure}")
    if dpd > grace_days and missed == 0:
        raise ContradictionError(f"Days_Past_Due: {dpd}, but Num_Missed_Payments is 0")
    anchor = as_of - (dpd or _LAST_DUE_AGO)
    if anchor - 31 * min(tenure, _MAX_TENURE) < _EARLIEST:
        raise ContradictionError(f"Days_Past_Due, Loan_Tenure: {dpd} and {tenure} lead back to before 1900")
    unpaid, counted, tail = _unpaid(missed, dpd, as_of, grace_days)
    late = missed - counted
    # The last late payment has come in only if there was time for it since: else a punctual instalment follows it.
    time_since = (dpd + _LEAST_DAYS_IN_MONTH) if unpaid else _LAST_DUE_AGO
    punctual = int(late > 0 and grace_days + _DAYS_AFTER_GRACE > time_since)
    least = unpaid + late + punctual
    if least > tenure:
        raise ContradictionError(
            f"Num_Missed_Payments, Days_Past_Due: {missed} missed and {dpd} days past due do not fit into "
            f"Loan_Tenure {tenure}"
        )
    wanted = tenure if tail else min(max(least + 1, 3), tenure)
    due, first_due = _first_due(unpaid, wanted, tenure, anchor)
    last_late = due - unpaid - punctual
    return _History(first_due, due, unpaid, range(last_late - late + 1, last_late + 1), grace_days)


def _unpaid(missed: int, dpd: int, as_of: int, grace_days: int) -> tuple[int, int, bool]:
    """How many instalments are unpaid, how many of these count as missed, and whether they are the loan's last ones."""
    if dpd == 0:
        return 0, 0, False
    first_unpaid = as_of - dpd
    fell_due = instalments_due_before(first_unpaid, 1200, as_of)
    counted = sum(due_day(first_unpaid, number) + grace_days < as_of for number in range(1, fell_due + 1))
    if missed >= counted:
        return fell_due, counted, False
    # Fewer missed than months gone by: none fell due since.
    return missed, missed, True


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
    raise ContradictionError(
        f"Days_Past_Due: no monthly due date falls on {wanted.isoformat()} within Loan_Tenure {tenure}"
    )


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
    return Decimal(str(value)).quantize(Decimal("0.01"))


def _at(day: int, hour: int) -> datetime:
    return datetime.combine(date.fromordinal(day), time(hour), UTC)
