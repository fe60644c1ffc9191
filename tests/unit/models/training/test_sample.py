"""Simulated portfolios as tables: what the checks of tables ask for, and bounded."""

import pandas as pd
import pytest

from models.training.sample import simulated_panel, simulated_snapshot
from producers.simulator.simulate import SimulationConfig
from producers.tables.check import PANEL_COLUMNS, PANEL_KEY, SNAPSHOT_COLUMNS, check_rows
from tests.support.training import RULES


def test_a_simulated_panel_is_a_good_table_without_gaps(panel: pd.DataFrame) -> None:
    assert check_rows(panel, PANEL_COLUMNS, PANEL_KEY).faults == []
    assert list(panel.columns) == list(PANEL_COLUMNS)
    months = panel.groupby("Loan_ID")["As_Of"].agg(lambda days: [day.year * 12 + day.month for day in days])
    assert all(found == list(range(found[0], found[0] + len(found))) for found in months)


def test_a_simulated_snapshot_is_a_good_table_with_all_outcomes(snapshot: pd.DataFrame) -> None:
    assert check_rows(snapshot, SNAPSHOT_COLUMNS).faults == []
    assert set(snapshot["Recovery_Status"]) == {"Fully Recovered", "Partially Recovered", "Written Off"}
    assert set(snapshot["Payment_History"]) == {"On-Time", "Delayed", "Missed"}
    assert (snapshot.loc[snapshot["Num_Missed_Payments"] == 0, "Collection_Method"] == "None").all()


@pytest.mark.parametrize("write", [simulated_panel, simulated_snapshot])
def test_a_table_needs_an_end(write: object) -> None:
    assert callable(write)
    with pytest.raises(ValueError, match="--days"):
        write(SimulationConfig(borrowers=2), RULES)
