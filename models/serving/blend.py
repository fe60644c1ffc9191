"""The blend of the forest's and the online model's probabilities."""

from __future__ import annotations

from models.serving.arrays import Floats

FOREST = "forest"


def combine(p_forest: Floats, p_online: Floats, share: float) -> Floats:
    """The weighted mean of both models' probabilities, elementwise; `share` is the online model's weight."""
    mixed: Floats = (1 - share) * p_forest + share * p_online
    return mixed
