"""Tables from outside, CSV or Parquet: which columns each kind has, and the checks that name what is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Any

import pandas as pd


class Kind(Enum):
    """What a column holds. Numbers here are amounts, counts, rates or days: none is negative."""

    TEXT = auto()
    NUMBER = auto()
    DAY = auto()


# What replaying a borrower takes.
BORROWER_COLUMNS: Mapping[str, Kind] = {
    "Borrower_ID": Kind.TEXT,
    "Age": Kind.NUMBER,
    "Gender": Kind.TEXT,
    "Employment_Type": Kind.TEXT,
    "Monthly_Income": Kind.NUMBER,
    "Num_Dependents": Kind.NUMBER,
    "Loan_Amount": Kind.NUMBER,
    "Loan_Tenure": Kind.NUMBER,
    "Interest_Rate": Kind.NUMBER,
    "Collateral_Value": Kind.NUMBER,
    "Monthly_EMI": Kind.NUMBER,
    "Num_Missed_Payments": Kind.NUMBER,
    "Days_Past_Due": Kind.NUMBER,
}
# One row a borrower, with what collecting came to.
SNAPSHOT_COLUMNS: Mapping[str, Kind] = {
    **BORROWER_COLUMNS,
    "Outstanding_Loan_Amount": Kind.NUMBER,
    "Payment_History": Kind.TEXT,
    "Recovery_Status": Kind.TEXT,
    "Collection_Attempts": Kind.NUMBER,
    "Collection_Method": Kind.TEXT,
    "Legal_Action_Taken": Kind.TEXT,
}
# One row a loan and month.
PANEL_COLUMNS: Mapping[str, Kind] = {
    **BORROWER_COLUMNS,
    "Loan_ID": Kind.TEXT,
    "As_Of": Kind.DAY,
    "First_Due_Date": Kind.DAY,
}


class TableError(ValueError):
    """A table that cannot be used; the text names the column."""


def read_table(path: Path, columns: Mapping[str, Kind], key: tuple[str, ...] = ("Borrower_ID",)) -> pd.DataFrame:
    """Read and check a CSV or Parquet file; see `check_table`."""
    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:
            # Only an empty field is a gap: to pandas "None" is one too, but it is a collection method.
            frame = pd.read_csv(path, dtype=dict.fromkeys(key, str), keep_default_na=False, na_values=[""])
    except (ValueError, OSError) as error:
        raise TableError(f"{path} cannot be read as a table: {error}") from error
    return check_table(frame, columns, key)


def check_table(
    frame: pd.DataFrame, columns: Mapping[str, Kind], key: tuple[str, ...] = ("Borrower_ID",)
) -> pd.DataFrame:
    """These columns as what they should hold: texts trimmed, numbers as floats or integers, days as dates.

    Raises `TableError`, which names the column, for a missing column, a gap, a wrong type, a negative number,
    and for two rows with the same `key`. Other columns are left out.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise TableError(f"the table lacks the column(s) {', '.join(missing)}")
    if frame.empty:
        raise TableError("the table has no rows")
    checked = pd.DataFrame({name: _checked(frame[name], kind) for name, kind in columns.items()})
    repeated = checked.duplicated(list(key))
    if repeated.any():
        raise TableError(f"{', '.join(key)}: row {_first(repeated)} repeats an earlier row's")
    return checked


def _checked(column: pd.Series[Any], kind: Kind) -> pd.Series[Any]:
    checked: pd.Series[Any]
    if kind is Kind.TEXT:
        checked = column.astype(str).str.strip()
        _refuse(column.isna() | (checked == ""), column, "is empty")
    elif kind is Kind.NUMBER:
        checked = pd.to_numeric(column, errors="coerce")
        _refuse(checked.isna() | checked.isin([math.inf, -math.inf]), column, "is empty or not a number")
        _refuse(checked < 0, column, "is negative")
    else:
        checked = pd.to_datetime(column, errors="coerce", format="%Y-%m-%d")
        _refuse(checked.isna(), column, "is empty or not a date like 2025-01-31")
        checked = checked.dt.date
    return checked


def _refuse(bad: pd.Series[bool], column: pd.Series[Any], what: str) -> None:
    if bad.any():
        more = f" (and {int(bad.sum()) - 1} more)" if bad.sum() > 1 else ""
        raise TableError(f"{column.name}: row {_first(bad)} {what}{more}")


def _first(bad: pd.Series[bool]) -> int:
    return int(bad.to_numpy().argmax()) + 1
