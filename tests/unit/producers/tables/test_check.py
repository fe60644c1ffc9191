"""Tables from outside: what is wrong is named by row, column and value, and a bad row does not spoil the others."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from producers.tables.check import (
    BORROWER_COLUMNS,
    PANEL_COLUMNS,
    PANEL_KEY,
    TableError,
    check_rows,
    read_rows,
    read_table,
)
from tests.support.tables import borrower_table, check_table

TABLE = borrower_table(5, seed=1)[list(BORROWER_COLUMNS)]
CSV = TABLE.to_csv(index=False)
Change = Callable[[pd.DataFrame], pd.DataFrame]


def csv_with(tmp_path: Path, column: str, value: str, row: int = 2) -> Path:
    """The table as CSV with one field changed, quoted as spreadsheets do."""
    path = tmp_path / "table.csv"
    frame = TABLE.astype(str)
    frame.loc[row - 1, column] = value
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("Monthly_Income", "#N/A", "#N/A is not a number like 1234.56"),
        ("Monthly_Income", "1.234,56", "1.234,56 is not a number like 1234.56"),
        ("Monthly_Income", "1,234.56", "1,234.56 is not a number like 1234.56"),
        ("Monthly_Income", "€ 100", "€ 100 is not a number"),
        ("Monthly_Income", "nan", "nan is not a number"),
        ("Monthly_Income", "inf", "inf is not a number"),
        ("Monthly_Income", "-0.01", "-0.01 is negative"),
        ("Monthly_Income", "1e11", "1e11 is not below 100,000,000,000"),
        ("Monthly_Income", "", "is empty"),
        ("Monthly_Income", "  ", "is empty"),
        ("Days_Past_Due", "99999999999", "99999999999 is more than 36,525"),
        ("Days_Past_Due", "2.5", "2.5 is not a whole number"),
        ("Days_Past_Due", "-1", "-1 is negative"),
        ("Days_Past_Due", "9" * 400, "is not a number"),
        ("Days_Past_Due", "\x1b[31mred", r"\x1b[31mred is not a number"),
        ("Gender", " ", "is empty"),
        ("Borrower_ID", "", "is empty"),
    ],
)
def test_a_bad_field_is_named_and_the_other_rows_are_good(tmp_path: Path, column: str, value: str, reason: str) -> None:
    table = read_rows(csv_with(tmp_path, column, value), BORROWER_COLUMNS)
    (fault,) = table.faults
    assert fault.row == 2
    assert fault.name == ("" if column == "Borrower_ID" else "BRW_1")
    assert fault.reason.startswith(f"{column}: ")
    assert reason in fault.reason
    assert fault.reason.isprintable()
    assert table.rows.index.tolist() == [1, 3, 4, 5]
    pd.testing.assert_frame_equal(
        table.rows.reset_index(drop=True), check_table(TABLE.drop(index=1), BORROWER_COLUMNS), check_dtype=False
    )
    with pytest.raises(TableError, match=f"row 2, .*{column}: "):
        read_table(csv_with(tmp_path, column, value), BORROWER_COLUMNS)


def test_a_row_with_several_faults_names_all() -> None:
    frame = TABLE.astype(str).assign(Age=["x"] * 5)
    frame.loc[0, "Gender"] = ""
    with pytest.raises(TableError) as refused:
        check_table(frame, BORROWER_COLUMNS)
    assert "row 1, BRW_0: Age: x is not a number like 1234.56; Gender: is empty; row 2, BRW_1: Age" in str(
        refused.value
    )
    assert len(check_rows(frame, BORROWER_COLUMNS).faults) == 5
    many = pd.concat([frame] * 10).assign(Borrower_ID=[f"B{number}" for number in range(50)])
    with pytest.raises(TableError, match="and 45 more"):
        check_table(many, BORROWER_COLUMNS)


def test_of_rows_with_the_same_key_none_is_taken() -> None:
    table = check_rows(pd.concat([TABLE, TABLE.head(1).assign(Age=60)]), BORROWER_COLUMNS)
    assert [str(fault) for fault in table.faults] == [
        "row 1, BRW_0: Borrower_ID: the same as in row 6",
        "row 6, BRW_0: Borrower_ID: the same as in row 1",
    ]
    assert table.rows["Borrower_ID"].tolist() == ["BRW_1", "BRW_2", "BRW_3", "BRW_4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CSV.replace("Monthly_EMI", "EMI"), r"lacks the column\(s\) Monthly_EMI$"),
        (CSV.replace(",", ";"), "separate columns by ';': save it with commas"),
        (CSV.replace(",", "\t"), r"separate columns by '\\t': save it with commas"),
        (CSV.replace("Gender", "Age"), r"lacks the column\(s\) Gender"),
        (CSV.replace("\n", ",Age\n", 1).replace("Yes", "Yes,1"), r"column\(s\) Age twice|cannot be read"),
        (CSV.splitlines()[0], "no rows"),
        ("", "cannot be read as a table"),
        (CSV + "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o\n", "cannot be read as a table.*line 7"),
        ("\n".join(line + ",surplus" if at else line for at, line in enumerate(CSV.splitlines())), "cannot be read"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=message):
        read_rows(path, BORROWER_COLUMNS)


@pytest.mark.parametrize("content", [CSV.encode("utf-16"), b"PK\x03\x04\xff\xfe\x00" * 50, "Zoë".encode("latin-1") * 3])
def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(TableError, match="not text in UTF-8"):
        read_rows(path, BORROWER_COLUMNS)


def test_what_spreadsheets_do_to_a_table_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    spaced = CSV.replace("Age,", " Age ,", 1).replace("\n", "\r\n").replace("BRW_0", ' "BRW_0" '.strip())
    path.write_bytes(b"\xef\xbb\xbf" + spaced.encode())
    pd.testing.assert_frame_equal(read_table(path, BORROWER_COLUMNS), check_table(TABLE, BORROWER_COLUMNS))


def test_ids_stay_as_they_are(tmp_path: Path) -> None:
    path = csv_with(tmp_path, "Borrower_ID", "007")
    assert read_table(path, BORROWER_COLUMNS)["Borrower_ID"].tolist()[1] == "007"
    assert read_table(csv_with(tmp_path, "Borrower_ID", "None"), BORROWER_COLUMNS)["Borrower_ID"].tolist()[1] == "None"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frame: frame.drop(columns=["As_Of", "Loan_ID"]), r"lacks the column\(s\) Loan_ID, As_Of"),
        (lambda frame: frame.assign(As_Of="soon"), "As_Of: soon is not a date like 2025-01-31"),
        (lambda frame: frame.assign(As_Of="31.01.2025"), "As_Of: 31.01.2025 is not a date"),
        (lambda frame: frame.assign(As_Of="45688"), "As_Of: 45688 is not a date"),
        (lambda frame: frame.assign(Days_Past_Due=-1), "row 1, B1: Days_Past_Due: -1 is negative"),
        (lambda frame: frame.assign(Monthly_Income=np.nan), "Monthly_Income: is empty"),
        (lambda frame: frame.assign(Monthly_EMI=np.inf), "Monthly_EMI: inf is not a number"),
        (lambda frame: pd.concat([frame, frame.head(1)]), "Borrower_ID, Loan_ID, As_Of: the same as in row 3"),
        (lambda frame: pd.concat([frame, frame["Age"]], axis=1), r"column\(s\) Age twice"),
    ],
)
def test_a_bad_panel_is_refused_naming_row_and_column(spoil: Change, message: str) -> None:
    panel = TABLE.head(2).assign(Borrower_ID="B1", Loan_ID="L1", As_Of=["2025-01-31", "2025-02-28"])
    panel = panel.assign(First_Due_Date="2025-01-01")
    assert len(check_table(panel, PANEL_COLUMNS, PANEL_KEY)) == 2
    with pytest.raises(TableError, match=message):
        check_table(spoil(panel), PANEL_COLUMNS, PANEL_KEY)


def test_a_table_reads_the_same_from_csv_and_parquet(tmp_path: Path) -> None:
    TABLE.to_parquet(tmp_path / "table.parquet")
    (tmp_path / "table.csv").write_text(CSV)
    read = read_table(tmp_path / "table.parquet", BORROWER_COLUMNS)
    pd.testing.assert_frame_equal(read, read_table(tmp_path / "table.csv", BORROWER_COLUMNS))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not quite")
    with pytest.raises(TableError, match="cannot be read as a table"):
        read_table(tmp_path / "broken.parquet", BORROWER_COLUMNS)
