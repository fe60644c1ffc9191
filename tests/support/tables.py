"""A table in the notebook's columns, with rows that some history can lead to."""

from collections.abc import Mapping, Sequence
from random import Random

import pandas as pd

from producers.tables.check import BORROWER_KEY, Kind, all_good, check_rows


def check_table(frame: pd.DataFrame, columns: Mapping[str, Kind], key: Sequence[str] = BORROWER_KEY) -> pd.DataFrame:
    """The table as `read_table` would give it from a file."""
    return all_good(check_rows(frame, columns, key))


def borrower_table(rows: int, seed: int, grace_days: int = 3) -> pd.DataFrame:
    draw = Random(seed)
    return pd.DataFrame([_row(number, draw, grace_days) for number in range(rows)])


def _row(number: int, draw: Random, grace_days: int) -> dict[str, object]:
    amount = draw.randrange(100, 1500) * 100
    tenure = draw.choice((12, 24, 36, 48, 60, 72))
    missed = draw.choice((0, 0, 0, 1, 1, 2, 3, 5, 8))
    if missed:
        days_past_due = draw.choice((0, 0, grace_days + draw.randrange(2, 27), grace_days + draw.randrange(27, 177)))
    else:
        days_past_due = draw.choice((0, 0, 0, grace_days))
    return {
        "Borrower_ID": f"BRW_{number}",
        "Age": draw.randrange(21, 65),
        "Gender": draw.choice(("Male", "Female")),
        "Employment_Type": draw.choice(("Salaried", "Self-Employed")),
        "Monthly_Income": draw.randrange(1000, 20000),
        "Num_Dependents": draw.randrange(4),
        "Loan_Amount": amount,
        "Loan_Tenure": tenure,
        "Interest_Rate": round(draw.uniform(5, 18), 2),
        "Collateral_Value": round(draw.uniform(0, amount), 2),
        "Outstanding_Loan_Amount": round(amount * draw.random(), 2),
        "Monthly_EMI": round(amount / tenure * 1.1, 2),
        "Payment_History": "On-Time" if missed == 0 else "Delayed",
        "Num_Missed_Payments": missed,
        "Days_Past_Due": days_past_due,
        "Recovery_Status": "Partially Recovered",
        "Collection_Attempts": draw.randrange(8),
        "Collection_Method": "Calls",
        "Legal_Action_Taken": "No",
    }
