"""Training data from simulated history: the labels that the stream's own engine gives."""

import numpy as np

from models.training.history import simulated_history, training_set
from producers.simulator.simulate import SimulationConfig
from streams.contracts.feature_names import FEATURE_NAMES, NOTEBOOK_FEATURE_NAMES
from streams.decide import Rules
from streams.strategy import LABEL_DAYS


def test_a_history_holds_outcomes_open_loans_and_people() -> None:
    history = simulated_history(SimulationConfig(borrowers=40, days=150, seed=2, partitions=2), Rules())
    outcomes = history.outcomes
    assert outcomes.X.shape == (len(outcomes.y), len(FEATURE_NAMES))
    assert set(outcomes.y.tolist()) == {0, 1}
    assert np.isfinite(outcomes.X).all()
    # Scored before the due date, known LABEL_DAYS after it.
    assert (outcomes.known_on - outcomes.scored_on > LABEL_DAYS).all()
    assert set(outcomes.borrower.tolist()) <= set(history.people)
    assert history.loans.shape[1] == len(NOTEBOOK_FEATURE_NAMES)
    assert 20 < len(history.loans) <= 40
    assert history.name == "simulated history: 40 borrowers, 150 days, seed 2"


def test_no_labels_are_an_empty_training_set() -> None:
    assert len(training_set([]).y) == 0
