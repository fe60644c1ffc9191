"""Score and action rates by gender and age band. Neither feeds a score; this shows whether the scores differ anyway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, sem

from models.serving.arrays import Floats
from streams.strategy import StrategyRules

_BANDS = ((25, "18-24"), (35, "25-34"), (45, "35-44"), (55, "45-54"), (65, "55-64"))
_NORMAL_95 = 1.96


class Person(NamedTuple):
    """What is known of a borrower for this purpose only."""

    gender: str
    age: int


@dataclass(frozen=True)
class Share:
    """An estimate with its 95 % interval: Wilson's for shares, the normal one for mean scores."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class GroupRates:
    """One group's borrowers: mean score, share offered a settlement or more, share recovered, share that came true."""

    attribute: str
    group: str
    borrowers: int
    score: Share
    settlement_or_more: Share
    recovery: Share
    outcome: Share


def fairness(
    people: Mapping[str, Person],
    borrower: NDArray[np.str_],
    y: NDArray[np.int64],
    scores: Floats,
    rules: StrategyRules,
) -> tuple[GroupRates, ...]:
    """Rates by group; each borrower counts once, with the last of the n rows, so that the intervals hold."""
    last = {name: at for at, name in enumerate(borrower.tolist()) if name in people}
    found: list[GroupRates] = []
    for attribute, of in (("gender", lambda person: person.gender), ("age", lambda person: age_band(person.age))):
        groups: dict[str, list[int]] = {}
        for name, at in last.items():
            groups.setdefault(of(people[name]), []).append(at)
        found.extend(_rates(attribute, group, y[rows], scores[rows], rules) for group, rows in sorted(groups.items()))
    return tuple(found)


def age_band(age: int) -> str:
    """Bands of ten years from 25 on; their names sort by age."""
    return next((name for below, name in _BANDS if age < below), "65+")


def _rates(attribute: str, group: str, y: NDArray[np.int64], scores: Floats, rules: StrategyRules) -> GroupRates:
    return GroupRates(
        attribute=attribute,
        group=group,
        borrowers=len(y),
        score=_mean(scores),
        settlement_or_more=_share(scores >= rules.settlement_from),
        recovery=_share(scores > rules.recovery_above),
        outcome=_share(y == 1),
    )


def _share(held: NDArray[np.bool_]) -> Share:
    interval = binomtest(int(held.sum()), len(held)).proportion_ci(0.95, method="wilson")
    return Share(float(held.mean()), float(interval.low), float(interval.high))


def _mean(scores: Floats) -> Share:
    mean = float(scores.mean())
    if len(scores) < 2:
        return Share(mean, 0.0, 1.0)
    reach = _NORMAL_95 * float(sem(scores))
    return Share(mean, max(mean - reach, 0.0), min(mean + reach, 1.0))
