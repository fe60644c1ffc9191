"""The newest labels with every model's prediction of them, by which the models are compared.

A prediction is the one made when the borrower was scored. The scoreboard keeps the newest `WINDOW` labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from models.serving.arrays import Floats
from streams.contracts.snapshots import ScoreboardSnapshot

WINDOW = 1000
_CLIP = 1e-4
_DECIMALS = 5


def log_losses(probabilities: Floats, outcomes: Floats) -> Floats:
    """−log of the probability given to what happened, elementwise, in nats.

    Clipped 1e-4 away from 0, so that one sure mistake stays finite.
    """
    given = np.where(outcomes > 0, probabilities, 1 - probabilities)
    losses: Floats = -np.log(np.clip(given, _CLIP, 1 - _CLIP))
    return losses


def area_under_curve(probabilities: Floats, outcomes: Floats) -> float | None:
    """Area under the ROC curve: how often a bad outcome was given more than a good one, a tie counting half.

    That is Mann and Whitney's U over the number of pairs. None while all outcomes are alike.
    """
    bad, good = probabilities[outcomes > 0], np.sort(probabilities[outcomes == 0])
    if not len(bad) or not len(good):
        return None
    below, not_above = np.searchsorted(good, bad, "left"), np.searchsorted(good, bad, "right")
    return float((below + not_above).mean() / (2 * len(good)))


class Quality(NamedTuple):
    """Labels judged, mean log loss in nats, and area under the ROC curve; None where it is unknown yet."""

    labels: int
    log_loss: float | None = None
    auc: float | None = None


class Scoreboard:
    """The last `WINDOW` outcomes with each model's predictions of them."""

    def __init__(self, names: Iterable[str], snapshot: ScoreboardSnapshot | None = None) -> None:
        self._rows = {name: row for row, name in enumerate(names)}
        self._outcomes = np.full(WINDOW, math.nan)
        self._predictions = np.full((len(self._rows), WINDOW), math.nan)
        self._losses = np.full_like(self._predictions, math.nan)
        if snapshot:
            predictions = [snapshot.predictions.get(name, ()) for name in self._rows]
            for at, outcome in enumerate(snapshot.outcomes):
                self._append([row[at] if row else None for row in predictions], bool(outcome))

    def add(self, predictions: Mapping[str, float], outcome: bool) -> None:
        """Enter one label; a model without a prediction for it is not judged on it."""
        known = [predictions.get(name) for name in self._rows]
        # Rounded as in the snapshot, so that a restored scoreboard equals the saved one.
        self._append([None if value is None else round(value, _DECIMALS) for value in known], outcome)

    def count(self, name: str) -> int:
        """How many labels of the scoreboard this model predicted."""
        return int(np.count_nonzero(~np.isnan(self._losses[self._rows[name]])))

    def latest_loss(self, name: str) -> float | None:
        """Log loss of this model's prediction for the last label; None if it made none."""
        loss = float(self._losses[self._rows[name], -1])
        return None if math.isnan(loss) else loss

    def losses(self, *names: str) -> Floats:
        """Log losses (names × n), oldest first, of the labels that all these models predicted."""
        losses = self._losses[self._among(names)]
        return losses[:, ~np.isnan(losses).any(axis=0)]

    def judged(self, *names: str) -> tuple[Floats, Floats]:
        """Outcomes (n) and predictions (names × n) of the same labels."""
        predictions = self._predictions[self._among(names)]
        known = ~np.isnan(predictions).any(axis=0)
        return self._outcomes[known], predictions[:, known]

    def quality(self, name: str) -> Quality:
        """How well this model did."""
        outcomes, (predictions,) = self.judged(name)
        if not len(outcomes):
            return Quality(0)
        return Quality(len(outcomes), float(self.losses(name).mean()), area_under_curve(predictions, outcomes))

    def snapshot(self) -> ScoreboardSnapshot:
        """The whole scoreboard as plain numbers."""
        filled = ~np.isnan(self._outcomes)
        return ScoreboardSnapshot(
            outcomes=tuple(int(outcome) for outcome in self._outcomes[filled]),
            predictions={
                name: tuple(None if math.isnan(p) else p for p in self._predictions[row, filled].tolist())
                for name, row in self._rows.items()
            },
        )

    def _among(self, names: Iterable[str]) -> list[int]:
        return [self._rows[name] for name in names]

    def _append(self, predictions: list[float | None], outcome: bool) -> None:
        for kept in (self._outcomes, self._predictions, self._losses):
            kept[..., :-1] = kept[..., 1:]
        self._outcomes[-1] = outcome
        self._predictions[:, -1] = [math.nan if value is None else value for value in predictions]
        self._losses[:, -1] = log_losses(self._predictions[:, -1], self._outcomes[-1:])
