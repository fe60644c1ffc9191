"""A small forest of the notebook's features, with segments, for tests of what is stored and served."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from models.serving.arrays import Floats
from models.serving.forest import Calibration, Forest
from models.serving.segments import Segmenter
from models.serving.store import Model
from models.serving.targets import Target
from streams.contracts.feature_names import NOTEBOOK_FEATURE_NAMES
from streams.contracts.vocabulary import Segment

WIDTH = len(NOTEBOOK_FEATURE_NAMES)


def rows(count: int = 400) -> Floats:
    drawn: Floats = np.random.default_rng(3).normal(0, 3, (count, WIDTH))
    return drawn


def small_model() -> Model:
    """Five trees, calibrated, and two segments."""
    table = rows()
    outcomes = (table[:, 0] - table[:, 1] > 1).astype(int)
    classifier = RandomForestClassifier(5, max_depth=4, random_state=2).fit(table, outcomes)
    forest = Forest.from_sklearn(classifier, NOTEBOOK_FEATURE_NAMES, Calibration(1.3, -0.4), "v")
    centres = np.array([[1.0] * WIDTH, [-1.0] * WIDTH])
    names = (Segment.BALANCED, Segment.HIGH_INCOME_LOW_RISK)
    return Model(forest, Segmenter(np.zeros(WIDTH), np.ones(WIDTH), centres, names), Target.NOTEBOOK)
