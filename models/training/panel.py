"""Training data from a lender's monthly panel: one row a loan and month end, with its days past due.

Each loan's rows are retold as the stream's events, month by month, and the features of a row are computed by the
stream's own functions from what was known by its month end. docs/models.md says what is assumed between two rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from models.training.fairness import Person
from models.training.forest import History, TrainingError, TrainingSet
from producers.tables.replay import ContradictionError, profile, row_problem, table_rows, terms
from streams.account.rules import AccountRules
from streams.account.standing import missed_count, position
from streams.contracts.due_dates import due_day, instalments_due_before
from streams.contracts.events import LoanOpened, PaymentReceived, PaymentReversed
from streams.contracts.feature_names import FEATURE_NAMES, NOTEBOOK_FEATURE_NAMES, columns
from streams.evolve import apply, close_day
from streams.features import loan_row, next_instalment
from streams.strategy import LABEL_DAYS

_DAYS_BEFORE_FIRST_DUE = 28
_MOST_DAYS_BETWEEN_ROWS = 45


@dataclass(frozen=True)
class PanelHistory:
    """The history, and the loans left out because their rows contradict themselves, with the reason."""

    history: History
    refused: list[tuple[str, str]]


class _Month(NamedTuple):
    """What a row says: its day (ordinal), instalments paid by then, and how many were ever missed."""

    day: int
    paid_up: int
    missed: int


class _Scoring(NamedTuple):
    """A row's features, and the outcome once a later row shows it."""

    row: tuple[float, ...]
    day: int
    outcome: bool | None
    known_on: int


def panel_history(frame: pd.DataFrame, name: str, rules: AccountRules) -> PanelHistory:
    """The training rows of a checked table of `PANEL_COLUMNS`; `name` is how the model card calls it.

    Raises `TrainingError` if no loan can be used.
    """
    scorings: list[tuple[str, _Scoring]] = []
    newest: list[tuple[float, ...]] = []
    people: dict[str, Person] = {}
    refused: list[tuple[str, str]] = []
    for (borrower_id, loan_id), rows in frame.sort_values("As_Of").groupby(["Borrower_ID", "Loan_ID"], sort=False):
        try:
            found = _loan_scorings(table_rows(rows), rules)
        except ValueError as error:
            refused.append((str(loan_id), row_problem(error)))
            continue
        first = rows.iloc[0]
        people[str(borrower_id)] = Person(str(first["Gender"]).lower(), int(first["Age"]))
        scorings.extend((str(borrower_id), scoring) for scoring in found)
        newest.append(found[-1].row)
    if not newest:
        raise TrainingError(f"no loan of the panel can be used; the first, {refused[0][0]}: {refused[0][1]}")
    loans = np.array(newest)[:, columns(NOTEBOOK_FEATURE_NAMES)]
    return PanelHistory(History(_training_set(scorings), loans, people, name), refused)


def _training_set(scorings: Sequence[tuple[str, _Scoring]]) -> TrainingSet:
    known = [(borrower, scoring) for borrower, scoring in scorings if scoring.outcome is not None]
    return TrainingSet(
        X=np.array([scoring.row[: len(FEATURE_NAMES)] for _, scoring in known], dtype=np.float64),
        y=np.array([scoring.outcome for _, scoring in known], dtype=np.int64),
        borrower=np.array([borrower for borrower, _ in known]),
        scored_on=np.array([scoring.day for _, scoring in known]),
        known_on=np.array([scoring.known_on for _, scoring in known]),
    )


def _loan_scorings(rows: Sequence[dict[str, Any]], rules: AccountRules) -> list[_Scoring]:
    """One loan's rows in order of time, each with its features and, where a later row shows it, its outcome."""
    first_due = rows[0]["First_Due_Date"].toordinal()
    months = [_month(row, first_due) for row in rows]
    loan = _RetoldLoan(rows[0], first_due, rules)
    scorings = []
    for number, month in enumerate(months):
        loan.live_to(month)
        scorings.append(loan.score(months[number + 1 :]))
    return scorings


def _month(row: dict[str, Any], first_due: int) -> _Month:
    day, tenure, dpd = row["As_Of"].toordinal(), int(row["Loan_Tenure"]), int(row["Days_Past_Due"])
    due = instalments_due_before(first_due, tenure, day)
    if dpd == 0:
        return _Month(day, due, int(row["Num_Missed_Payments"]))
    if not due:
        raise ContradictionError(f"Days_Past_Due: {dpd} before the first instalment was due")
    # Lenders count days past due a little differently: the oldest unpaid instalment is the one due nearest to it.
    oldest = min(range(1, due + 1), key=lambda number: abs(day - dpd - due_day(first_due, number)))
    return _Month(day, oldest - 1, int(row["Num_Missed_Payments"]))


class _RetoldLoan:
    """A loan's account, brought from row to row by the payments that must have come in, or been taken back."""

    def __init__(self, row: dict[str, Any], first_due: int, rules: AccountRules) -> None:
        opened = LoanOpened(
            event_id="open",
            borrower_id=str(row["Borrower_ID"]),
            loan_id=str(row["Loan_ID"]),
            occurred_at=_noon(first_due - _DAYS_BEFORE_FIRST_DUE),
            profile=profile(row),
            terms=terms(row, first_due),
        )
        self._rules = rules
        self._names = {"borrower_id": opened.borrower_id, "loan_id": opened.loan_id}
        self._emi = opened.annuity.emi
        self._first_due = first_due
        self._account = apply(opened, None, rules)
        self._before = _Month(self._account.as_of, 0, 0)
        self._payments: list[PaymentReceived] = []
        self._seen = False

    def live_to(self, now: _Month) -> None:
        """Apply what must have happened since the row before."""
        if self._seen and now.day - self._before.day > _MOST_DAYS_BETWEEN_ROWS:
            raise ContradictionError(f"As_Of: a month is missing before {date.fromordinal(now.day).isoformat()}")
        while len(self._payments) > now.paid_up:
            self._take_back(self._payments.pop(), now.day)
        for day in self._payment_days(now):
            self._pay(day)
        self._account = close_day(self._account, now.day, self._rules)
        self._before, self._seen = now, True

    def score(self, later: Sequence[_Month]) -> _Scoring:
        """The features on the last row's day; the outcome by the first row that is late enough to know it."""
        (loan,) = self._account.loans
        row = loan_row(loan, position(loan, loan.as_of, self._rules), self._rules)
        number = next_instalment(loan, self._before.day, self._rules)
        known_from = due_day(loan.first_due, number) + LABEL_DAYS if number else 0
        deciding = next((month for month in later if number and month.day >= known_from), None)
        if number is None or deciding is None:
            return _Scoring(row, self._before.day, None, 0)
        return _Scoring(row, self._before.day, deciding.paid_up < number, deciding.day)

    def _payment_days(self, now: _Month) -> list[int]:
        """When each instalment paid since the row before was paid, oldest first.

        On its due date, unless the rows' missed counts say it was late. Then as late as can be without days past
        due that no row shows.
        """
        paid = range(len(self._payments) + 1, now.paid_up + 1)
        late = self._late(paid, now)
        days = []
        for number in paid:
            due = due_day(self._first_due, number)
            quiet_until = due + LABEL_DAYS - 1
            if number not in late:
                days.append(max(due, self._before.day))
            else:
                days.append(min(now.day, quiet_until) if quiet_until > self._before.day else now.day)
        return days

    def _late(self, paid: range, now: _Month) -> set[int]:
        """Of the instalments paid now, the ones that count as missed: unpaid when their grace ended."""
        (loan,) = self._account.loans
        last = instalments_due_before(self._first_due, loan.tenure, now.day)
        grace_ends = {
            number: due_day(self._first_due, number) + self._rules.grace_days for number in range(paid.start, last + 1)
        }
        overdue = {number for number in paid if grace_ends[number] < self._before.day}
        decided = [number for number, day in grace_ends.items() if self._before.day <= day < now.day]
        candidates = [number for number in decided if number in paid]
        still_unpaid = len(decided) - len(candidates)
        # The row's count may hold more misses than the rows before and what is unpaid now: the newest were late.
        more = now.missed - missed_count(loan, self._before.day, self._rules) - still_unpaid
        return overdue | (set(candidates[-more:]) if more > 0 else set())

    def _pay(self, day: int) -> None:
        number = len(self._payments) + 1
        payment = PaymentReceived(
            **self._names,
            event_id=f"pay-{number}-{self._before.day}",
            occurred_at=_noon(day),
            amount=self._emi,
            channel="direct_debit",
            value_date=date.fromordinal(day),
        )
        self._payments.append(payment)
        # The stream closes every day that is past due. Here the day before the payment is enough: the worst of them.
        self._account = apply(payment, close_day(self._account, day - 1, self._rules), self._rules)

    def _take_back(self, payment: PaymentReceived, day: int) -> None:
        reversal = PaymentReversed(
            **self._names,
            event_id=f"reverse-{payment.event_id}",
            occurred_at=_noon(day),
            payment_event_id=payment.event_id,
            payment_value_date=payment.value_date,
            reason="insufficient_funds",
        )
        self._account = apply(reversal, self._account, self._rules)


def _noon(day: int) -> datetime:
    return datetime.combine(date.fromordinal(day), time(12), UTC)
