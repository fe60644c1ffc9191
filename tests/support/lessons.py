"""Labels for the learner's tests: risk that follows days past due, and doubles halfway."""

from datetime import date
from random import Random

import numpy as np

from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.labels import Label
from streams.learner.state import LearnerState
from streams.score import OnlineModels


def drifting_labels(count: int, seed: int = 6) -> list[Label]:
    """As workers would score them: with the contenders as the learner published them, every 100 labels."""
    draw, lesson, made = Random(seed), LearnerState(), []
    shown: OnlineModels | None = None
    for number in range(count):
        made.append(_label(number, draw, shown, risk_factor=1 + (number > count // 2)))
        lesson.learn(made[-1], number)
        if number % 100 == 99:
            shown = OnlineModels.from_snapshot(lesson.snapshot())
    return made


def _label(number: int, draw: Random, shown: OnlineModels | None, risk_factor: float) -> Label:
    features = [round(draw.expovariate(0.2), 2) for _ in FEATURE_NAMES]
    risk = 1 / (1 + float(np.exp(2.5 - 0.25 * features[0])))
    rows = np.array([features])
    said = {name: float(scorer.predict(rows)[0]) for name, scorer in shown.scorers.items()} if shown else {}
    return Label(
        borrower_id=f"B{number}",
        origin_partition=number % 2,
        origin_offset=number,
        loan_id=f"L{number}",
        instalment_number=1,
        due_date=date.fromordinal(739_000 + number // 20),
        scored_on=date.fromordinal(738_990 + number // 20),
        features=features,
        forest_score=risk,
        online_score=said.get("adagrad", risk),
        blended_score=risk,
        forest_version="v",
        online_version=number,
        online_scores=said,
        outcome=draw.random() < min(risk * risk_factor, 0.95),
    )
