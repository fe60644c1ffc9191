"""What a forest may be trained to predict, and the features it needs for that."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from streams.contracts.feature_names import FEATURES, NOTEBOOK_FEATURES, Feature


class Target(StrEnum):
    """The stream's own question, or the notebook's: whether a borrower is in a K-Means segment flagged as risky."""

    NEXT_INSTALMENT = "next-instalment"
    NOTEBOOK = "notebook"


MEANING: Mapping[Target, str] = {
    Target.NEXT_INSTALMENT: "the next instalment due reaches 30 days past due",
    Target.NOTEBOOK: "the borrower belongs to one of the two high-risk K-Means segments",
}
# Names, units and order: a stored forest must have been trained on exactly these.
CONTRACTS: Mapping[Target, tuple[Feature, ...]] = {
    Target.NEXT_INSTALMENT: FEATURES,
    Target.NOTEBOOK: NOTEBOOK_FEATURES,
}


def feature_names(target: Target) -> tuple[str, ...]:
    """The names of the target's features, in order."""
    return tuple(feature.name for feature in CONTRACTS[target])
