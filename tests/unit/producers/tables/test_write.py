"""CSV for spreadsheets: no text becomes a formula, and no text is lost for programs."""

import csv
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.tables.write import neutralised, write_csv

FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    '"=1',
    " =1",
    "＝1",
    "B;=1",
    "B,+1",
    'B";"=1',
    "B\n@x",
    "=HYPERLINK('x')",
)
OPENS_FORMULA = re.compile(r"""(?:^|[;,\t\r\n])[ "]*[=+\-@＝＋－＠]""")
hostile = st.text(alphabet="=+-@'\t\r\n;, \"ab＝", max_size=12) | st.text(max_size=12)


@pytest.mark.parametrize("text", FORMULAS)
def test_nothing_that_opens_a_formula_is_left(text: str) -> None:
    assert OPENS_FORMULA.search(text)
    assert not OPENS_FORMULA.search(neutralised(text))


@pytest.mark.parametrize("text", ["BRW_1", "S7-B000038", "O'Neil\\", "a=b", "T:100:7", "BR[/01]7", "", "Zoë"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert neutralised(text) == text


@given(hostile)
def test_a_program_has_every_text_back(text: str) -> None:
    safe = neutralised(text)
    assert not OPENS_FORMULA.search(safe)
    assert re.sub(r"""(^|[;,\t\r\n])([ "]*)'""", r"\1\2", safe) == text


def test_numbers_stay_numbers_and_every_text_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_csv(
        pd.DataFrame({"Borrower_ID": ["=cmd|' /C calc'!A0", "B;=2"], "Change": [-0.5, 2.0], "Days": [-3, 4]}), path
    )
    assert path.read_text().splitlines() == [
        '"Borrower_ID","Change","Days"',
        "\"'=cmd|' /C calc'!A0\",-0.5,-3",
        '"B;\'=2",2.0,4',
    ]
    with path.open(newline="") as file:
        assert [row["Borrower_ID"] for row in csv.DictReader(file)] == ["'=cmd|' /C calc'!A0", "B;'=2"]
