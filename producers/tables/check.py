"""Tables from outside, CSV or Parquet: their columns, and checks that name the row, the column and the value.

Rows are counted from 1, the first one below the header.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

MAX_COUNT = 36_525
MAX_AMOUNT = 1e11
_SHOWN_FAULTS = 5
_SHOWN_CHARACTERS = 40


class Kind(Enum):
    """What a column holds. An amount or a rate is a NUMBER; a COUNT is whole: days, months, instalments, years."""

    TEXT = auto()
    NUMBER = auto()
    COUNT = auto()
    DAY = auto()


# What replaying a borrower takes.
BORROWER_COLUMNS: Mapping[str, Kind] = {
    "Borrower_ID": Kind.TEXT,
    "Age": Kind.COUNT,
    "Gender": Kind.TEXT,
    "Employment_Type": Kind.TEXT,
    "Monthly_Income": Kind.NUMBER,
    "Num_Dependents": Kind.COUNT,
    "Loan_Amount": Kind.NUMBER,
    "Loan_Tenure": Kind.COUNT,
    "Interest_Rate": Kind.NUMBER,
    "Collateral_Value": Kind.NUMBER,
    "Monthly_EMI": Kind.NUMBER,
    "Num_Missed_Payments": Kind.COUNT,
    "Days_Past_Due": Kind.COUNT,
}
# One row a borrower, with what collecting came to.
SNAPSHOT_COLUMNS: Mapping[str, Kind] = {
    **BORROWER_COLUMNS,
    "Outstanding_Loan_Amount": Kind.NUMBER,
    "Payment_History": Kind.TEXT,
    "Recovery_Status": Kind.TEXT,
    "Collection_Attempts": Kind.COUNT,
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
BORROWER_KEY = ("Borrower_ID",)
PANEL_KEY = ("Borrower_ID", "Loan_ID", "As_Of")


class TableError(ValueError):
    """A table that cannot be used; the text names the column and the row."""


class Fault(NamedTuple):
    """A row that cannot be used: its number, what its first key column holds, and why, with the column's name."""

    row: int
    name: str
    reason: str

    def __str__(self) -> str:
        return f"row {self.row}, {self.name}: {self.reason}"


class CheckedTable(NamedTuple):
    """The good rows under their row numbers, each value as what its column should hold; and the others' faults."""

    rows: pd.DataFrame
    faults: list[Fault]


def read_table(path: Path, columns: Mapping[str, Kind], key: Sequence[str] = BORROWER_KEY) -> pd.DataFrame:
    """Read a CSV or Parquet file in which every row must be good; see `check_rows`."""
    return all_good(read_rows(path, columns, key))


def read_rows(path: Path, columns: Mapping[str, Kind], key: Sequence[str] = BORROWER_KEY) -> CheckedTable:
    """Read a CSV or Parquet file and part good rows from bad ones; see `check_rows`."""
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not text in UTF-8: save it as CSV in UTF-8") from error
    except (ValueError, OSError, pd.errors.ParserWarning) as error:
        raise TableError(f"{path} cannot be read as a table: {str(error).strip()}") from error
    return check_rows(frame, columns, key)


def check_rows(frame: pd.DataFrame, columns: Mapping[str, Kind], key: Sequence[str] = BORROWER_KEY) -> CheckedTable:
    """Part the rows that hold what these columns should hold from the ones that do not. Other columns are left out.

    Texts are trimmed, numbers become floats, counts integers, days dates. Of rows with the same `key` none is good:
    nobody knows which of them holds. Raises `TableError` for a missing column and for a table without rows.
    """
    frame = frame.rename(columns=lambda name: str(name).strip())
    _require_columns(frame, columns)
    frame = frame[list(columns)].set_axis(range(1, len(frame) + 1))
    faults: dict[int, list[str]] = defaultdict(list)
    values = {name: _checked(frame[name], kind, faults) for name, kind in columns.items()}
    good = pd.DataFrame(values).drop(index=list(faults))
    _refuse_repeats(good, key, faults)
    good = good.drop(index=list(faults), errors="ignore")
    whole = {name: "int64" for name, kind in columns.items() if kind is Kind.COUNT}
    numbers = {name: "float64" for name, kind in columns.items() if kind is Kind.NUMBER}
    names = frame[key[0]]
    return CheckedTable(
        good.astype(whole | numbers), [Fault(row, shown(names[row]), "; ".join(faults[row])) for row in sorted(faults)]
    )


def all_good(table: CheckedTable) -> pd.DataFrame:
    """The table's rows. Raises `TableError`, which names the first faults, if there is any."""
    if table.faults:
        more = len(table.faults) - _SHOWN_FAULTS
        named = [str(fault) for fault in table.faults[:_SHOWN_FAULTS]] + ([f"and {more:,} more"] if more > 0 else [])
        raise TableError("; ".join(named))
    return table.rows.reset_index(drop=True)


def _read_csv(path: Path) -> pd.DataFrame:
    with warnings.catch_warnings():
        # Rows longer than the header: pandas would leave their last fields out with a mere warning.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        # All as text, so that a check sees what the file holds; only an empty field is a gap ("None" is a method).
        return pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8-sig",
            index_col=False,
            low_memory=False,
        )


def _require_columns(frame: pd.DataFrame, columns: Mapping[str, Kind]) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        separator = next((mark for mark in (";", "\t") if any(mark in str(name) for name in frame.columns)), None)
        hint = f"; the file seems to separate columns by {separator!r}: save it with commas" if separator else ""
        raise TableError(f"the table lacks the column(s) {', '.join(missing)}{hint}")
    # pandas tells columns of the same name apart by a number.
    twice = [name for name in columns if f"{name}.1" in frame.columns or (frame.columns == name).sum() > 1]
    if twice:
        raise TableError(f"the table has the column(s) {', '.join(twice)} twice")
    if frame.empty:
        raise TableError("the table has no rows")


def _checked(column: pd.Series[Any], kind: Kind, faults: dict[int, list[str]]) -> pd.Series[Any]:
    empty = column.isna()
    if not pd.api.types.is_numeric_dtype(column):
        empty |= column.astype(str).str.strip() == ""
    _refuse(empty, column, faults, "is empty")
    if kind is Kind.TEXT:
        return column.astype(str).str.strip()
    if kind is Kind.DAY:
        days = pd.to_datetime(column, errors="coerce", format="%Y-%m-%d")
        _refuse(days.isna() & ~empty, column, faults, "is not a date like 2025-01-31")
        return days.dt.date
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    is_number = numbers.abs() < np.inf
    _refuse(~is_number & ~empty, column, faults, "is not a number like 1234.56")
    _refuse(is_number & (numbers < 0), column, faults, "is negative")
    if kind is Kind.COUNT:
        _refuse(is_number & (numbers > MAX_COUNT), column, faults, f"is more than {MAX_COUNT:,}")
        _refuse(is_number & (numbers % 1 != 0), column, faults, "is not a whole number")
    else:
        _refuse(is_number & (numbers >= MAX_AMOUNT), column, faults, f"is not below {MAX_AMOUNT:,.0f}")
    return numbers


def _refuse_repeats(rows: pd.DataFrame, key: Sequence[str], faults: dict[int, list[str]]) -> None:
    repeated = rows[rows.duplicated(list(key), keep=False)]
    for _, group in repeated.groupby(list(key), sort=False):
        first, second = group.index[:2]
        for row in group.index:
            faults[row].append(f"{', '.join(key)}: the same as in row {second if row == first else first}")


def _refuse(bad: pd.Series[bool], column: pd.Series[Any], faults: dict[int, list[str]], what: str) -> None:
    for row, value in column[bad].items():
        faults[int(str(row))].append(f"{column.name}: {shown(value)} {what}".replace("  ", " "))


def shown(value: Any) -> str:
    """A value as it may stand on a terminal: one line, no control characters, not endless."""
    text = "" if pd.isna(value) else str(value)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
