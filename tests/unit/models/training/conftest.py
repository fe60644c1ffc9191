"""A simulated portfolio as tables, once for all tests of training."""

import pandas as pd
import pytest

from models.training.sample import simulated_panel, simulated_snapshot
from producers.simulator.simulate import SimulationConfig
from producers.tables.check import SNAPSHOT_COLUMNS
from tests.support.tables import check_table
from tests.support.training import RULES


@pytest.fixture(scope="session")
def panel() -> pd.DataFrame:
    return simulated_panel(SimulationConfig(borrowers=120, days=400, seed=5), RULES)


@pytest.fixture(scope="session")
def snapshot() -> pd.DataFrame:
    return check_table(simulated_snapshot(SimulationConfig(borrowers=420, days=330, seed=2), RULES), SNAPSHOT_COLUMNS)
