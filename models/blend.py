"""How much each model counts: by its recent prequential log loss."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Floats = NDArray[np.float64]
HALF_LIFE_LABELS = 400
MIN_LABELS = 300
_STEEPNESS = 40.0
_CLIP = 1e-4


class Blend(BaseModel):
    """The exponentially weighted mean log loss of both models over the labels seen, in nats."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: int = 0
    weight: float = 0.0
    forest_loss: float = 0.0
    online_loss: float = 0.0


def log_loss(probability: float, outcome: bool) -> float:
    """−log of the probability given to what happened, clipped so that one sure mistake stays finite."""
    given = probability if outcome else 1 - probability
    return -math.log(min(max(given, _CLIP), 1 - _CLIP))


def observe(blend: Blend, p_forest: float, p_online: float, outcome: bool) -> Blend:
    """The record after one more label, which was predicted before it was learnt."""
    keep = 0.5 ** (1 / HALF_LIFE_LABELS)
    return Blend(
        labels=blend.labels + 1,
        weight=keep * blend.weight + 1,
        forest_loss=keep * blend.forest_loss + log_loss(p_forest, outcome),
        online_loss=keep * blend.online_loss + log_loss(p_online, outcome),
    )


def mean_log_losses(blend: Blend) -> dict[str, float]:
    """Recent mean log loss by model; empty before the first label."""
    if not blend.labels:
        return {}
    return {"forest": blend.forest_loss / blend.weight, "online": blend.online_loss / blend.weight}


def weights(blend: Blend) -> tuple[float, float]:
    """Shares of forest and online model: the forest alone until enough labels, then exponential weights.

    The share falls as exp(−steepness × mean loss), the exponentially weighted average forecaster
    (Cesa-Bianchi and Lugosi, 2006, ch. 2) on the recent window.
    """
    if blend.labels < MIN_LABELS:
        return 1.0, 0.0
    losses = mean_log_losses(blend)
    behind = min(max(_STEEPNESS * (losses["online"] - losses["forest"]), -50.0), 50.0)
    online = 1 / (1 + math.exp(behind))
    return 1 - online, online


def combine(p_forest: Floats, p_online: Floats, shares: Sequence[float]) -> Floats:
    """The weighted mean of both models' probabilities, elementwise."""
    mixed: Floats = shares[0] * p_forest + shares[1] * p_online
    return mixed
