"""The choice of the online model that is served beside the forest."""

from __future__ import annotations

import math
from collections.abc import Iterable

from models.online.blend import MIN_LABELS
from models.online.scoreboard import Scoreboard
from models.serving.arrays import Floats

SURE = 3.0


def choose_champion(champion: str, challengers: Iterable[str], scoreboard: Scoreboard) -> str:
    """The challenger whose log loss is lower beyond chance, or the present champion where there is none.

    Both are compared on the labels that both predicted: the mean of the paired differences must lie `SURE` standard
    errors above 0, and there must be `MIN_LABELS` of them. So models of about the same quality do not take turns.
    """
    ahead = {name: _lead(scoreboard.losses(champion, name)) for name in challengers if name != champion}
    best = max(ahead, key=ahead.__getitem__, default=champion)
    return best if ahead.get(best, 0.0) > SURE else champion


def _lead(losses: Floats) -> float:
    """By how many standard errors the second model's losses (2 × n) are lower than the first's; 0 if n is small."""
    differences = losses[0] - losses[1]
    if len(differences) < MIN_LABELS:
        return 0.0
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return float(differences.mean()) / error if error else 0.0
