"""Every row of a table is reached by its events."""

import time
from datetime import date

import pandas as pd
import pytest

from producers.tables.check import BORROWER_COLUMNS, TableError, check_table
from producers.tables.replay import plan_replay
from streams.account.codec import decode_state
from streams.account.standing import position
from streams.decide import Rules
from streams.history.offline import number_offsets, run_offline
from streams.score import ModelSet
from tests.support.tables import borrower_table


@pytest.mark.parametrize("as_of", [date(2025, 6, 17), date(2025, 3, 31), date(2024, 2, 29)])
def test_state_equals_the_row(as_of: date) -> None:
    frame = borrower_table(500, seed=as_of.day)
    plan = plan_replay(frame, as_of, partitions=1)
    assert [reason for _, reason in plan.refused if "no monthly due date" not in reason] == []
    assert len(plan.refused) < 20
    table: dict[str, bytes] = {}
    records = number_offsets(plan.records, lambda _: 0, int(time.time() * 1000))
    results = list(run_offline(records, ModelSet(None), Rules(), table))
    assert sum(len(result.dead_letters) for result in results) == 0
    refused = {borrower for borrower, _ in plan.refused}
    for row in frame.to_dict("records"):
        if row["Borrower_ID"] in refused:
            continue
        account = decode_state(table[row["Borrower_ID"]]).account
        loan = account.loans[0]
        now = position(loan, account.as_of, Rules().account)
        assert (now.days_past_due, now.missed) == (row["Days_Past_Due"], row["Num_Missed_Payments"]), row
        assert loan.principal == row["Loan_Amount"] * 100
        assert loan.emi == round(row["Monthly_EMI"] * 100)
        assert loan.tenure == row["Loan_Tenure"]


def test_contradictory_rows_are_refused_with_a_reason() -> None:
    frame = borrower_table(3, seed=1)
    frame.loc[0, ["Num_Missed_Payments", "Days_Past_Due"]] = [0, 40]
    frame.loc[1, ["Num_Missed_Payments", "Loan_Tenure"]] = [30, 12]
    reasons = dict(plan_replay(frame, date(2025, 6, 17), 1).refused)
    assert reasons["BRW_0"] == "40 days past due, but no instalment missed"
    assert reasons["BRW_1"] == "30 instalments missed of a loan that has 12"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frame: frame.drop(columns="Monthly_EMI"), "lacks the column"),
        (lambda frame: frame.head(0), "no rows"),
        (lambda frame: frame.assign(Loan_Amount="much"), "Loan_Amount: row 1"),
        (lambda frame: frame.assign(Gender=None), "Gender: row 1"),
        (lambda frame: pd.concat([frame, frame]), "Borrower_ID: row 6 repeats"),
    ],
)
def test_a_bad_table_is_refused_naming_the_column(spoil: object, message: str) -> None:
    with pytest.raises(TableError, match=message):
        check_table(spoil(borrower_table(5, seed=1)), BORROWER_COLUMNS)  # type: ignore[operator]
