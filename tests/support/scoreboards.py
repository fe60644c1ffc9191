"""Scoreboards of models with a given skill."""

from random import Random

from models.online.scoreboard import Scoreboard
from models.serving.blend import FOREST

NAMES = (FOREST, "a", "b")


def filled(labels: int, seed: int = 1, **skill: float) -> Scoreboard:
    """Each model is sure of the outcome by its skill, give or take: 0.5 knows nothing."""
    draw, record = Random(seed), Scoreboard(NAMES)
    for _ in range(labels):
        outcome = draw.random() < 0.3
        sure = {name: min(max(skill[name] + draw.gauss(0, 0.05), 0.01), 0.99) for name in skill}
        record.add({name: p if outcome else 1 - p for name, p in sure.items()}, outcome)
    return record
