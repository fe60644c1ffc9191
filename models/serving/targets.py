"""What a forest may be trained to tell, and the features it is then asked with."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from streams.contracts.feature_names import FEATURES, SEED_FEATURES, Feature


class Target(StrEnum):
    """The stream's own question, or the seed's recipe: K-Means segments, two of which are flagged as risky."""

    NEXT_INSTALMENT = "next-instalment"
    SEED = "seed"


MEANING: Mapping[Target, str] = {
    Target.NEXT_INSTALMENT: "the next instalment due reaches 30 days past due",
    Target.SEED: "the borrower belongs to one of the two high-risk K-Means segments",
}
# Names, units and order: a stored forest must have been trained on exactly these.
CONTRACTS: Mapping[Target, tuple[Feature, ...]] = {
    Target.NEXT_INSTALMENT: FEATURES,
    Target.SEED: SEED_FEATURES,
}


def feature_names(target: Target) -> tuple[str, ...]:
    """The names of the target's features, in order."""
    return tuple(feature.name for feature in CONTRACTS[target])
