"""The forest a worker serves: loaded with its digest checked, or trained small on first use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models import store
from models.forest import Forest
from streams.engine import Rules
from streams.features import FEATURE_NAMES
from streams.settings import Settings

_FIRST_BORROWERS = 900
_FIRST_DAYS = 480
_FIRST_SEED = 1


def ready_forest(settings: Settings, say: Callable[[str], None]) -> Forest:
    """The forest in the settings' folder; where none is, one is trained on simulated history and kept there."""
    folder = settings.forest_dir
    if not store.exists(folder):
        say(f"no forest in {folder} yet: training one on simulated history …")
        train_and_save(folder, settings.rules(), _FIRST_BORROWERS, _FIRST_DAYS, _FIRST_SEED)
    return store.load(folder, FEATURE_NAMES)


def train_and_save(folder: Path, rules: Rules, borrowers: int, days: int, seed: int) -> dict[str, Any]:
    """Simulate, train, save; returns the training report. Raises `TrainingError` if the history is too short."""
    # Training needs scikit-learn, which serving does not: it is loaded only here.
    from models.history import simulated_history
    from models.training import train_forest
    from producers.simulator import SimulationConfig

    history = simulated_history(SimulationConfig(borrowers=borrowers, days=days, seed=seed), rules)
    trained = train_forest(history, feature_names=FEATURE_NAMES, seed=seed)
    store.save(trained.forest, trained.report, folder)
    return trained.report
