"""Segments of borrowers as plain numbers: a scaler and named centres, so that serving needs no scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.serving.arrays import Floats
from streams.contracts.vocabulary import Segment


@dataclass(frozen=True, eq=False)
class Segmenter:
    """k named centres among standardised features (in the order of `NOTEBOOK_FEATURES`)."""

    means: Floats
    scales: Floats
    centres: Floats
    names: tuple[Segment, ...]

    def assign(self, rows: Floats) -> list[Segment]:
        """The segment whose centre is nearest, for n rows of features."""
        return [self.names[number] for number in self.nearest(rows)]

    def nearest(self, rows: Floats) -> NDArray[np.int64]:
        """The number of the nearest centre, for n rows."""
        scaled = (rows - self.means) / self.scales
        # |x − c|² without |x|², which is the same for every centre.
        distances = (self.centres**2).sum(axis=1) - 2 * scaled @ self.centres.T
        nearest: NDArray[np.int64] = distances.argmin(axis=1)
        return nearest

    def typical(self) -> Floats:
        """The centres in the features' own units, k × features."""
        typical: Floats = self.centres * self.scales + self.means
        return typical

    def to_json(self) -> dict[str, Any]:
        """The document that model.json holds."""
        return {
            "means": self.means.tolist(),
            "scales": self.scales.tolist(),
            "centres": self.centres.tolist(),
            "names": list(self.names),
        }

    @classmethod
    def from_json(cls, document: dict[str, Sequence[Any]]) -> Segmenter:
        """The inverse of `to_json`."""
        return cls(
            means=np.array(document["means"], np.float64),
            scales=np.array(document["scales"], np.float64),
            centres=np.array(document["centres"], np.float64),
            names=tuple(Segment(name) for name in document["names"]),
        )
