"""Train a model on simulated history or a lender's table, and keep it where the worker looks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from models.serving import store
from models.serving.targets import Target
from streams.config.settings import Settings

if TYPE_CHECKING:
    from models.training.forest import TrainedModel
    from producers.simulator.simulate import SimulationConfig

_FIRST_BORROWERS = 900
_FIRST_DAYS = 480
_FIRST_SEED = 1


def train_first(settings: Settings, say: Callable[[str], None]) -> None:
    """Train a small model on simulated history and keep it in the settings' folder."""
    from producers.simulator.simulate import SimulationConfig

    say(f"no forest in {settings.forest_dir} yet: training one on simulated history …")
    simulation = SimulationConfig(_FIRST_BORROWERS, _FIRST_DAYS, _FIRST_SEED, grace_days=settings.grace_days)
    keep(train_on_simulation(settings, Target.NEXT_INSTALMENT, simulation), settings.forest_dir)


def train_on_simulation(settings: Settings, target: Target, simulation: SimulationConfig) -> TrainedModel:
    """Simulate and train. Raises `TrainingError` if the history is too short."""
    # Training needs scikit-learn, which serving does not: it is loaded only here.
    from models.training.costs import policy_of
    from models.training.forest import train_forest
    from models.training.history import simulated_history
    from models.training.notebook import train_notebook
    from models.training.sample import simulated_snapshot

    rules, policy = settings.rules(), policy_of(settings)
    if target is Target.NOTEBOOK:
        table = simulated_snapshot(simulation, rules.account)
        return train_notebook(table, "a simulated portfolio", policy, simulation.seed)
    return train_forest(simulated_history(simulation, rules), policy, simulation.seed)


def train_on_table(
    settings: Settings, target: Target, file: Path, seed: int, say: Callable[[str], None]
) -> TrainedModel:
    """Train on a lender's own table: a panel, or for the notebook's recipe a snapshot. Loans left out go to `say`.

    Raises `TableError` where the table is not what it should be, and `TrainingError` where it is too small.
    """
    from models.training.costs import policy_of
    from models.training.forest import train_forest
    from models.training.notebook import train_notebook
    from models.training.panel import panel_history
    from producers.tables.check import PANEL_COLUMNS, PANEL_KEY, SNAPSHOT_COLUMNS, read_table

    if target is Target.NOTEBOOK:
        return train_notebook(read_table(file, SNAPSHOT_COLUMNS), file.name, policy_of(settings), seed)
    panel = read_table(file, PANEL_COLUMNS, PANEL_KEY)
    found = panel_history(panel, file.name, settings.rules().account)
    for loan_id, reason in found.refused:
        say(f"not used: {loan_id}: {reason}")
    return train_forest(found.history, policy_of(settings), seed)


def keep(trained: TrainedModel, folder: Path) -> Path:
    """Save the model with its report; returns the path of its card."""
    from models.training.card import model_card

    report = trained.report
    model = store.Model(trained.forest, trained.segmenter, report.target)
    store.save(model, report.to_json(), partial(model_card, report), folder)
    return folder / store.CARD_TEXT
