"""Finding the four segments: K-Means on scaled features, named from where the centres lie."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from models.serving.arrays import Floats
from models.serving.segments import Segmenter
from models.serving.targets import Target, feature_names
from streams.contracts.vocabulary import Segment

SEGMENTS = 4
# The notebook flags borrowers in these segments as high risk.
HIGH_RISK = (Segment.MODERATE_INCOME_HIGH_BURDEN, Segment.HIGH_LOAN_HIGHER_RISK)
_STARTS = 10
_SILHOUETTE_ROWS = 5000
_INCOME, _LOAN, _EMI, _MISSED, _DPD = range(len(feature_names(Target.NOTEBOOK)))


class ClusteringError(ValueError):
    """The borrowers do not part into four segments."""


@dataclass(frozen=True)
class KTrial:
    """How well k clusters fit: the sum of squared distances to the centres, and the mean silhouette (−1 to 1)."""

    k: int
    inertia: float
    silhouette: float


def fit_segments(rows: Floats, seed: int) -> Segmenter:
    """Scale n rows of `NOTEBOOK_FEATURES`, cluster them, name the clusters.

    Raises `ClusteringError` on rows too alike.
    """
    scaler, scaled = _scaled(rows)
    clusters = _cluster(scaled, SEGMENTS, seed)
    centres = np.array(clusters.cluster_centers_)
    typical = np.array(scaler.inverse_transform(centres))
    return Segmenter(np.array(scaler.mean_), np.array(scaler.scale_), centres, name_segments(centres, typical))


def try_ks(rows: Floats, seed: int, ks: range = range(2, 9)) -> list[KTrial]:
    """The fit for several k, by which an analyst sees whether four is a fair number."""
    _, scaled = _scaled(rows)
    trials = []
    for k in ks:
        clusters = _cluster(scaled, k, seed)
        silhouette = silhouette_score(
            scaled, clusters.labels_, sample_size=min(len(scaled), _SILHOUETTE_ROWS), random_state=seed
        )
        trials.append(KTrial(k, float(clusters.inertia_), float(silhouette)))
    return trials


def name_segments(scaled: Floats, typical: Floats) -> tuple[Segment, ...]:
    """Names for four centres, given scaled and in the features' units (each 4 × `NOTEBOOK_FEATURES`).

    Most missed payments and days past due: higher default risk. Of the others the largest instalment for its
    income: high burden. Of the last two, the one with more income and less arrears: low risk. A tie goes to the first.
    """
    risk = (scaled[:, _MISSED] + scaled[:, _DPD]) / 2
    burden = typical[:, _EMI] / np.maximum(typical[:, _INCOME], 1)
    names: dict[int, Segment] = {}
    for name, by in (
        (Segment.HIGH_LOAN_HIGHER_RISK, risk),
        (Segment.MODERATE_INCOME_HIGH_BURDEN, burden),
        (Segment.HIGH_INCOME_LOW_RISK, scaled[:, _INCOME] - risk),
        (Segment.BALANCED, -risk),
    ):
        free = [number for number in range(len(scaled)) if number not in names]
        names[max(free, key=by.__getitem__)] = name
    return tuple(names[number] for number in range(len(scaled)))


def _scaled(rows: Floats) -> tuple[StandardScaler, Floats]:
    scaler = StandardScaler().fit(rows)
    return scaler, np.array(scaler.transform(rows))


def _cluster(scaled: Floats, k: int, seed: int) -> KMeans:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            return KMeans(k, n_init=_STARTS, random_state=seed).fit(scaled)
    except (ValueError, ConvergenceWarning):
        different = len(np.unique(scaled, axis=0))
        raise ClusteringError(
            f"{len(scaled)} loans with {different} different profiles are too few for {k} segments"
        ) from None
