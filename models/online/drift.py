"""Drift detection: ADWIN on each model's loss, the population stability index on each feature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from river import drift

from models.online.scoreboard import WINDOW, Scoreboard
from models.serving.arrays import Floats
from streams.contracts.snapshots import FeatureDriftSnapshot

Counts = NDArray[np.int64]
PSI_ALERT = 0.25
PSI_LABELS = 1000
PSI_DAYS = 28
_BINS = 10


class Drift(NamedTuple):
    """A change: of which model's mean log loss, or which feature's distribution (its PSI against `before` 0)."""

    subject: str
    before: float
    after: float


class LossDrift:
    """ADWIN (Bifet and Gavaldà, 2007) on the log loss of each model, over at most `WINDOW` labels.

    River keeps ADWIN's buckets to itself. The scoreboard holds what was fed since the last reset, so feeding it
    again restores the detector exactly. Before that outgrows the scoreboard, the detector restarts from the newer half.
    """

    def __init__(self, names: Iterable[str], scoreboard: Scoreboard, fed: Mapping[str, int] | None = None) -> None:
        self._scoreboard = scoreboard
        self.fed = {name: (fed or {}).get(name, 0) for name in names}
        self._detectors = {name: self._refed(name) for name in self.fed}

    def take(self) -> list[Drift]:
        """Feed the newest label to the models that predicted it; return the losses that have risen."""
        losses = ((name, self._scoreboard.latest_loss(name)) for name in self.fed)
        found = [self._feed(name, loss) for name, loss in losses if loss is not None]
        for name, fed in self.fed.items():
            known = self._scoreboard.count(name)
            if fed == WINDOW or fed > known:
                self.fed[name] = known // 2
                self._detectors[name] = self._refed(name)
        return [rise for rise in found if rise is not None]

    def _feed(self, name: str, loss: float) -> Drift | None:
        self.fed[name] += 1
        detector = self._detectors[name]
        detector.update(loss)
        if not detector.drift_detected:
            return None
        losses, kept = self._fed_losses(name), int(detector.width)
        self.fed[name] = 0
        self._detectors[name] = drift.ADWIN()
        before, after = float(losses[:-kept].mean()), float(losses[-kept:].mean())
        return Drift(name, before, after) if after > before else None

    def _refed(self, name: str) -> drift.ADWIN:
        detector = drift.ADWIN()
        for loss in self._fed_losses(name).tolist():
            detector.update(loss)
        return detector

    def _fed_losses(self, name: str) -> Floats:
        (losses,) = self._scoreboard.losses(name)
        fed: Floats = losses[len(losses) - self.fed[name] :]
        return fed


class FeatureDrift:
    """The population stability index of each feature, month by month, against a reference window.

    A window holds at least `PSI_LABELS` labels and `PSI_DAYS` days. The first is the reference, and the deciles of
    its first rows are the bins. A feature whose index passes `PSI_ALERT` takes the new window as its reference, so
    that a shift is reported once. Above 0.25 a population is commonly held to have shifted (Siddiqi, 2006, ch. 9).
    """

    def __init__(self, names: Sequence[str], snapshot: FeatureDriftSnapshot | None = None) -> None:
        state = snapshot or FeatureDriftSnapshot()
        self._names = tuple(names)
        self._rows = list(state.rows)
        self._edges = [np.array(edges) for edges in state.edges]
        self._reference = [np.array(counts) for counts in state.reference]
        self._window = [np.array(counts) for counts in state.window]
        self._began = state.began
        self._indices = state.indices

    def take(self, features: Sequence[float], day: int) -> list[Drift]:
        """Count one label's features; `day` (ordinal) is its due date. Returns what a closing window shows."""
        self._began = self._began or day
        if not self._edges:
            self._rows.append(tuple(features))
            if len(self._rows) == PSI_LABELS:
                self._make_bins()
            return []
        for counts, edges, value in zip(self._window, self._edges, features, strict=True):
            counts[np.searchsorted(edges, value)] += 1
        if self._window[0].sum() < PSI_LABELS or day < self._began + PSI_DAYS:
            return []
        return self._close(day)

    def indices(self) -> dict[str, float]:
        """The stability index of each feature in the last closed window; empty before there is one."""
        return dict(zip(self._names, self._indices, strict=False))

    def snapshot(self) -> FeatureDriftSnapshot:
        """The whole state as plain numbers."""
        return FeatureDriftSnapshot(
            rows=tuple(self._rows),
            edges=tuple(tuple(edges.tolist()) for edges in self._edges),
            reference=tuple(tuple(counts.tolist()) for counts in self._reference),
            window=tuple(tuple(counts.tolist()) for counts in self._window),
            began=self._began,
            indices=self._indices,
        )

    def _make_bins(self) -> None:
        columns = np.array(self._rows).T
        self._rows = []
        self._edges = [np.unique(np.quantile(column, np.linspace(0, 1, _BINS + 1)[1:-1])) for column in columns]
        self._window = [
            np.bincount(np.searchsorted(edges, column), minlength=len(edges) + 1)
            for edges, column in zip(self._edges, columns, strict=True)
        ]

    def _close(self, day: int) -> list[Drift]:
        closed, self._began = self._window, day
        self._window = [np.zeros_like(counts) for counts in closed]
        if not self._reference:
            self._reference = closed
            return []
        indices = [stability_index(old, new) for old, new in zip(self._reference, closed, strict=True)]
        self._indices = tuple(indices)
        shifted = [at for at, index in enumerate(indices) if index > PSI_ALERT]
        for at in shifted:
            self._reference[at] = closed[at]
        return [Drift(self._names[at], 0.0, indices[at]) for at in shifted]


def stability_index(reference: Counts, window: Counts) -> float:
    """Population stability index of two histograms with the same bins; half a count stands in for an empty bin."""
    old = (reference + 0.5) / (reference + 0.5).sum()
    new = (window + 0.5) / (window + 0.5).sum()
    return float(((new - old) * np.log(new / old)).sum())
