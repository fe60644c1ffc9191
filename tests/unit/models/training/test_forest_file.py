"""Training from simulation or table, and keeping the model where the worker looks."""

from pathlib import Path

import pandas as pd
import pytest

from models.serving import store
from models.serving.targets import Target
from models.training import forest_file
from models.training.forest import TrainedModel
from models.training.forest_file import keep, train_on_table
from models.training.notebook import train_notebook
from producers.simulator.simulate import SimulationConfig
from producers.tables.check import TableError
from streams.config.settings import Settings
from tests.support.training import POLICY


@pytest.fixture(scope="module")
def trained(snapshot: pd.DataFrame) -> TrainedModel:
    return train_notebook(snapshot, "snapshot", POLICY, seed=3)


def test_a_kept_model_is_named_by_the_digest_that_pins_it(trained: TrainedModel, tmp_path: Path) -> None:
    card = keep(trained, tmp_path).read_text()
    digest = store.digest(tmp_path)
    assert f"`{digest}`" in card
    assert "RISKMON_MODEL_SHA256" in card
    assert store.load(tmp_path, digest).target is Target.NOTEBOOK


def test_the_first_model_is_simulated_with_the_settings_grace(
    trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SimulationConfig] = []

    def train(_settings: Settings, _target: Target, simulation: SimulationConfig) -> TrainedModel:
        asked.append(simulation)
        return trained

    monkeypatch.setattr(forest_file, "train_on_simulation", train)
    said: list[str] = []
    forest_file.train_first(Settings(model_dir=tmp_path, grace_days=10), said.append)
    assert [simulation.grace_days for simulation in asked] == [10]
    assert store.exists(tmp_path)
    assert str(tmp_path) in said[0]


def test_a_table_with_a_bad_row_trains_nothing(snapshot: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    snapshot.assign(Age=["x", *["40"] * (len(snapshot) - 1)]).to_csv(path, index=False)
    with pytest.raises(TableError, match=r"row 1, .*: Age: x is not a number"):
        train_on_table(Settings(), Target.NOTEBOOK, path, 1, print)
