"""A lender's panel retold as events: the stream's own features, and no knowledge of later months."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.training.forest import (
    TrainingError,
    TrainingSet,
)
from models.training.panel import panel_history
from producers.tables.check import PANEL_COLUMNS, PANEL_KEY, read_table
from streams.contracts.feature_names import FEATURE_NAMES, NOTEBOOK_FEATURE_NAMES
from tests.support.tables import check_table
from tests.support.training import RULES, assert_no_leak, panel_rows


def test_a_panel_gives_the_streams_features_and_the_rows_own_arrears(panel: pd.DataFrame) -> None:
    told = panel_history(check_table(panel, PANEL_COLUMNS, PANEL_KEY), "panel", RULES)
    assert told.refused == []
    data = told.history.outcomes
    rows = panel.set_index(["Borrower_ID", "As_Of"])
    seen = rows.loc[[(b, date.fromordinal(day)) for b, day in zip(data.borrower, data.scored_on, strict=True)]]
    assert (data.X[:, FEATURE_NAMES.index("days_past_due")] == seen["Days_Past_Due"]).all()
    # Which of several instalments was the late one is not in the rows, so a few missed counts are off by one.
    missed = np.abs(data.X[:, FEATURE_NAMES.index("missed_count")] - seen["Num_Missed_Payments"])
    assert missed.max() <= 1
    assert missed.mean() < 0.03
    assert len(told.history.loans) == panel["Loan_ID"].nunique()
    assert 0.01 < data.y.mean() < 0.3


def test_a_panels_features_do_not_know_later_months(panel: pd.DataFrame) -> None:
    whole = panel_history(check_table(panel, PANEL_COLUMNS, PANEL_KEY), "panel", RULES).history.outcomes
    assert_no_leak(whole)
    cut = sorted(panel["As_Of"].unique())[8]
    early = panel_history(
        check_table(panel[panel["As_Of"] <= cut], PANEL_COLUMNS, PANEL_KEY), "panel", RULES
    ).history.outcomes
    known = whole.where(whole.known_on <= cut.toordinal())

    def by_moment(data: TrainingSet) -> dict[tuple[str, int], tuple[tuple[float, ...], int]]:
        keys = zip(data.borrower.tolist(), data.scored_on.tolist(), strict=True)
        return dict(zip(keys, zip(map(tuple, data.X.tolist()), data.y.tolist(), strict=True), strict=True))

    assert len(early.y) > 300
    assert by_moment(early) == by_moment(known)


def test_labels_of_a_panel_by_hand() -> None:
    # February's and March's instalments reach 30 days past due; in May all is caught up, April's with it.
    told = panel_history(
        panel_rows(
            ("2025-01-31", 0, 0),
            ("2025-02-28", 13, 1),
            ("2025-03-31", 44, 2),
            ("2025-04-30", 74, 3),
            ("2025-05-31", 0, 3),
            ("2025-06-30", 0, 3),
        ),
        "panel",
        RULES,
    )
    data = told.history.outcomes
    assert [date.fromordinal(day).month for day in data.scored_on] == [1, 2, 3, 4]
    assert data.y.tolist() == [1, 1, 0, 0]
    assert [date.fromordinal(day).month for day in data.known_on] == [3, 4, 5, 6]
    assert data.X[:, FEATURE_NAMES.index("missed_count")].tolist() == [0, 1, 2, 3]
    assert data.X[:, FEATURE_NAMES.index("worst_days_past_due")].tolist() == [0, 13, 44, 74]


def test_a_returned_payment_and_a_lenders_own_way_of_counting_days() -> None:
    told = panel_history(panel_rows(("2025-02-28", 0, 0), ("2025-03-31", 45, 2), ("2025-04-30", 1, 3)), "panel", RULES)
    assert told.refused == []
    (row,) = told.history.loans.tolist()
    assert row[NOTEBOOK_FEATURE_NAMES.index("days_past_due")] == 15


@pytest.mark.parametrize(
    ("months", "reason"),
    [
        ([("2025-01-10", 5, 1), ("2025-02-28", 0, 0)], "Days_Past_Due: 5 before"),
        ([("2025-01-31", 0, 0), ("2025-04-30", 0, 0)], "As_Of: a month is missing before 2025-04-30"),
        ([("2025-08-31", 0, 0), ("2025-09-30", 258, 9)], "before the ledger window"),
    ],
)
def test_loans_that_contradict_themselves_are_left_out_with_a_reason(
    months: list[tuple[str, int, int]], reason: str
) -> None:
    with pytest.raises(TrainingError, match=f"L1: .*{reason}"):
        panel_history(panel_rows(*months), "panel", RULES)


@pytest.mark.parametrize("name", ["panel.csv", "panel.parquet"])
def test_a_panel_reads_the_same_from_csv_and_parquet(panel: pd.DataFrame, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    panel.to_csv(path, index=False) if name.endswith("csv") else panel.to_parquet(path)
    read = read_table(path, PANEL_COLUMNS, PANEL_KEY)
    pd.testing.assert_frame_equal(read, check_table(panel, PANEL_COLUMNS, PANEL_KEY), check_dtype=False)
