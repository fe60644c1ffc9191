"""A simulated portfolio as the tables a lender would have: one row a borrower, or a panel of one row a loan and month.

What the rows say of arrears comes from the stream's own account rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pandas as pd

from producers.simulator.simulate import SimulationConfig, simulate
from producers.tables.check import PANEL_COLUMNS, SNAPSHOT_COLUMNS
from streams.account.loan import Account
from streams.account.rules import AccountRules
from streams.account.standing import Position, position
from streams.contracts.events import DayClosed, LoanClosed, LoanOpened
from streams.contracts.money import MINOR_UNITS
from streams.evolve import apply, close_day

OUTCOME_DAYS = 180
_EMPLOYMENT = {"salaried": "Salaried", "self_employed": "Self-Employed", "unemployed": "Unemployed"}


def simulated_snapshot(config: SimulationConfig, rules: AccountRules) -> pd.DataFrame:
    """The open loans after `config.days` days in the 19 columns; `Recovery_Status` is that of 180 days later."""
    days = _bounded(config)
    simulated = _Portfolio(rules)
    rows: list[dict[str, Any]] = []
    later: dict[str, Position] = {}
    for number, day in enumerate(simulated.live(replace(config, days=days + OUTCOME_DAYS)), start=1):
        if number == days:
            rows = [_snapshot_row(opened, now) for opened, now in simulated.open_loans(day)]
        if number == days + OUTCOME_DAYS:
            later = {opened.loan_id: now for opened, now in simulated.open_loans(day)}
    for row in rows:
        loan_id = row.pop("loan_id")
        row["Recovery_Status"] = _recovery(simulated.closed.get(loan_id), later.get(loan_id))
    return pd.DataFrame(rows, columns=list(SNAPSHOT_COLUMNS))


def simulated_panel(config: SimulationConfig, rules: AccountRules) -> pd.DataFrame:
    """Every loan that is open at a month's end, a row each, for the months that `config.days` days hold."""
    _bounded(config)
    simulated = _Portfolio(rules)
    rows = [
        _panel_row(opened, now, day)
        for day in simulated.live(config)
        if (day + timedelta(days=1)).day == 1
        for opened, now in simulated.open_loans(day)
    ]
    return pd.DataFrame(rows, columns=list(PANEL_COLUMNS))


def _bounded(config: SimulationConfig) -> int:
    if config.days is None:
        raise ValueError("a table needs an end: say how many --days to simulate")
    return config.days


class _Portfolio:
    def __init__(self, rules: AccountRules) -> None:
        self._rules = rules
        self.closed: dict[str, str] = {}
        self._accounts: dict[str, Account] = {}
        self._opened: dict[str, LoanOpened] = {}

    def live(self, config: SimulationConfig) -> Iterator[date]:
        """Apply all events, and stop at the end of each day."""
        for emission in simulate(replace(config, partitions=1)):
            event = emission.event
            if isinstance(event, DayClosed):
                yield event.business_date
                continue
            if isinstance(event, LoanOpened):
                self._opened[event.loan_id] = event
            elif isinstance(event, LoanClosed):
                self.closed[event.loan_id] = event.reason
            self._accounts[event.borrower_id] = apply(event, self._accounts.get(event.borrower_id), self._rules)

    def open_loans(self, day: date) -> Iterator[tuple[LoanOpened, Position]]:
        """Where each open loan stands at the end of the day."""
        for account in self._accounts.values():
            at_close = close_day(account, day.toordinal(), self._rules)
            for loan in at_close.loans:
                if not loan.closed:
                    yield self._opened[loan.loan_id], position(loan, loan.as_of, self._rules)


def _borrower_columns(opened: LoanOpened, now: Position) -> dict[str, Any]:
    profile, terms = opened.profile, opened.annuity
    return {
        "Borrower_ID": opened.borrower_id,
        "Age": profile.age,
        "Gender": profile.gender.capitalize(),
        "Employment_Type": _EMPLOYMENT[profile.employment_type],
        "Monthly_Income": float(profile.monthly_income),
        "Num_Dependents": profile.num_dependents,
        "Loan_Amount": float(terms.principal),
        "Loan_Tenure": terms.tenure_months,
        "Interest_Rate": float(terms.annual_rate),
        "Collateral_Value": float(profile.collateral_value),
        "Monthly_EMI": float(terms.emi),
        "Num_Missed_Payments": now.missed,
        "Days_Past_Due": now.days_past_due,
    }


def _panel_row(opened: LoanOpened, now: Position, day: date) -> dict[str, Any]:
    return _borrower_columns(opened, now) | {
        "Loan_ID": opened.loan_id,
        "As_Of": day,
        "First_Due_Date": opened.annuity.first_due_date,
    }


def _snapshot_row(opened: LoanOpened, now: Position) -> dict[str, Any]:
    dpd = now.days_past_due
    return _borrower_columns(opened, now) | {
        "loan_id": opened.loan_id,
        "Outstanding_Loan_Amount": now.outstanding / MINOR_UNITS,
        "Payment_History": "On-Time" if now.missed == 0 else "Delayed" if dpd < 30 else "Missed",
        "Collection_Attempts": min(now.missed + dpd // 10, 15),
        "Collection_Method": _collection_method(dpd) if now.missed else "None",
        "Legal_Action_Taken": "Yes" if dpd >= 90 else "No",
    }


def _collection_method(days_past_due: int) -> str:
    steps = ((30, "Calls"), (60, "Settlement Offer"), (90, "Debt Collectors"))
    return next((method for below, method in steps if days_past_due < below), "Legal Notice")


def _recovery(closed: str | None, now: Position | None) -> str:
    if closed == "written_off":
        return "Written Off"
    return "Partially Recovered" if now and now.arrears else "Fully Recovered"
