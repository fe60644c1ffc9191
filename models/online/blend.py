"""The online model's share of the blended score, from both models' log losses on the same recent labels."""

from __future__ import annotations

import math

from models.online.scoreboard import Scoreboard
from models.serving.blend import FOREST

MIN_LABELS = 300
_STEEPNESS = 20.0


def online_share(scoreboard: Scoreboard, online: str) -> float:
    """The online model's share of the blend: 0 until it is judged on enough labels, then by exponential weights.

    A model's weight falls as exp(−steepness × mean log loss), the exponentially weighted average forecaster
    (Cesa-Bianchi and Lugosi, 2006, ch. 2) on the recent window.
    """
    losses = scoreboard.losses(FOREST, online)
    if losses.shape[1] < MIN_LABELS:
        return 0.0
    forest_loss, online_loss = losses.mean(axis=1)
    behind = min(max(_STEEPNESS * float(online_loss - forest_loss), -50.0), 50.0)
    return 1 / (1 + math.exp(behind))
