"""Does the online model pay? Forest, blend and a plain rule on unseen portfolios, with and without a shock.

`make evidence` writes docs/evidence.json, docs/evidence.svg and the table in docs/evidence.md. Everything runs through
the stream's own engine, with the learner in the loop: what is judged is what was served at the time.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import zlib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import LogisticRegression

from benchmarks import picture
from models.online.model import OnlineModel
from models.online.scoreboard import log_losses
from models.serving.arrays import Floats
from models.serving.contenders import RECIPES
from models.serving.forest import Forest
from models.training.costs import policy_of
from models.training.forest import split_by_borrower_and_time, train_forest
from models.training.history import simulated_history
from producers.faults import FaultConfig, FaultTally
from producers.publisher import simulated_records
from producers.simulator.behaviour import Shock
from producers.simulator.simulate import SimulationConfig
from streams.config.settings import Settings
from streams.contracts.feature_names import FEATURE_NAMES
from streams.decide import Rules
from streams.history.offline import number_offsets
from streams.learner.offline import run_with_learner
from streams.learner.state import LearnerState
from streams.score import ModelSet

DOCS = Path(__file__).parent.parent / "docs"
SHOCK_DAY = 360
SCENARIOS: dict[str, Shock | None] = {
    "calm": None,
    "moderate": Shock(SHOCK_DAY, job_losses=0.15, rate_rise=2.0),
    "severe": Shock(SHOCK_DAY, job_losses=0.15, rate_rise=5.0),
}
SEEDS = (11, 12, 13, 14, 15, 16)
PERIODS = {"before": (180, SHOCK_DAY), "first 90 days": (SHOCK_DAY, SHOCK_DAY + 90), "after": (SHOCK_DAY, 10_000)}
_COMPARED = (("blend", "forest"), ("blend", "rule"), ("forest", "rule"), ("late online", "online"))
_HISTORY = SimulationConfig(borrowers=1500, days=540, seed=1)
_BORROWERS, _DAYS = 1000, 720
_BIN = 250
_BINS_BEFORE = 4
_GAP = 0.02
_BEGIN, _END = "<!-- measured -->", "<!-- end -->"


@dataclass(frozen=True)
class Rule:
    """What missed count and days past due say: a logistic regression fitted on the forest's own training rows."""

    coefficients: tuple[float, ...]
    intercept: float

    @classmethod
    def fit(cls, rows: Floats, y: NDArray[np.int64]) -> Rule:
        """n rows of all features, and their outcomes (0 or 1)."""
        fitted = LogisticRegression(C=1e6).fit(cls._columns(rows), y)
        return cls(tuple(fitted.coef_[0].tolist()), float(fitted.intercept_[0]))

    def predict(self, rows: Floats) -> Floats:
        """Probabilities of n rows of all features."""
        probability: Floats = 1 / (1 + np.exp(-(self._columns(rows) @ np.array(self.coefficients) + self.intercept)))
        return probability

    @staticmethod
    def _columns(rows: Floats) -> Floats:
        days, missed = (rows[:, FEATURE_NAMES.index(name)] for name in ("days_past_due", "missed_count"))
        return np.stack([days > 0, np.log1p(days), np.log1p(missed)], axis=1)


def main() -> None:
    """Run all seeds and scenarios and write what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    started = time.monotonic()
    history = simulated_history(_HISTORY, Rules(days_ahead=None))
    train = split_by_borrower_and_time(history.outcomes).train
    trained = train_forest(history, policy_of(Settings()), _HISTORY.seed)
    rule = Rule.fit(train.X, train.y)
    jobs = [(scenario, seed) for seed in asked.seeds for scenario in SCENARIOS]
    with ProcessPoolExecutor(asked.processes) as pool:
        runs = list(pool.map(partial(_run, trained.forest, rule), jobs))
    evidence = {
        "command": "make evidence",
        "portfolios": {"borrowers": _BORROWERS, "days": _DAYS, "shock_day": SHOCK_DAY, "seeds": list(asked.seeds)},
        "scenarios": {name: vars(shock) if shock else None for name, shock in SCENARIOS.items()},
        "forest_log_loss_on_its_own_test_part": trained.report.test.log_loss,
        "results": {name: _summary([run for run in runs if run["scenario"] == name]) for name in SCENARIOS},
        "recovered_after": {
            name: {
                model: _recovered_after([run["course"] for run in runs if run["scenario"] == name], model)
                for model in ("forest", "blend")
            }
            for name in SCENARIOS
        },
        "runs": runs,
    }
    (DOCS / "evidence.json").write_text(json.dumps(evidence, indent=1) + "\n")
    picture.write(evidence, DOCS / "evidence.svg")
    report = DOCS / "evidence.md"
    before, after = (report.read_text().split(mark)[at] for mark, at in ((_BEGIN, 0), (_END, 1)))
    report.write_text(f"{before}{_BEGIN}\n{tables(evidence)}\n{_END}{after}")
    print(f"{len(runs)} runs in {time.monotonic() - started:.0f} s")


def _run(forest: Forest, rule: Rule, job: tuple[str, int]) -> dict[str, Any]:
    """One portfolio: mean log loss by model and period, and the course of it after the shock day."""
    scenario, seed = job
    config = SimulationConfig(borrowers=_BORROWERS, days=_DAYS, seed=seed, shock=SCENARIOS[scenario])
    records = number_offsets(
        simulated_records(config, FaultConfig(), FaultTally()),
        lambda key: zlib.crc32(key) % config.partitions,
        round(time.time() * 1000),
    )
    lesson, late = LearnerState(), OnlineModel(RECIPES[0], FEATURE_NAMES)
    labels, late_scores, alerts = [], [], Counter[str]()
    for taught in run_with_learner(records, ModelSet(forest), Rules(days_ahead=None), lesson):
        alerts.update(f"{alert.kind} {alert.subject}" for alert in taught.alerts)
        for label in taught.labels:
            labels.append(label)
            late_scores.append(late.predict(label.features))
            late.learn(label.features, label.outcome)
    first_day = config.start.toordinal()
    scored = np.array([label.scored_on.toordinal() - first_day for label in labels])
    truth = np.array([label.outcome for label in labels], dtype=np.float64)
    scores = {
        "forest": np.array([label.forest_score for label in labels]),
        "blend": np.array([label.blended_score for label in labels]),
        "rule": rule.predict(np.array([label.features for label in labels])),
        "online rule": np.array([label.online_scores.get("baseline", label.forest_score) for label in labels]),
        # The first contender, once by its predictions at the time, once tested just before it learns the label.
        "online": np.array([label.online_scores.get("adagrad", label.forest_score) for label in labels]),
        "late online": np.array(late_scores),
    }
    losses = {name: log_losses(each, truth) for name, each in scores.items()}
    return {
        "scenario": scenario,
        "seed": seed,
        "labels": len(labels),
        "log_loss": {
            period: {name: float(each[(scored >= start) & (scored < end)].mean()) for name, each in losses.items()}
            for period, (start, end) in PERIODS.items()
        },
        "course": _course(scored, truth, scores),
        "alerts": dict(alerts),
        "champion": lesson.champion,
    }


def _course(scored: NDArray[np.int64], truth: Floats, scores: dict[str, Floats]) -> dict[str, list[float]]:
    """Share of bad outcomes and mean scores by successive 250 labels as scored, from 1,000 before the shock day on."""
    order = np.argsort(scored, kind="stable")
    shock = int(np.searchsorted(scored[order], SHOCK_DAY))
    order = order[shock - _BINS_BEFORE * _BIN :]
    order = order[: len(order) // _BIN * _BIN].reshape(-1, _BIN)
    drawn = {"outcome": truth, **{f"score {name}": scores[name] for name in ("forest", "blend")}}
    return {name: [round(each, 5) for each in values[order].mean(axis=1).tolist()] for name, values in drawn.items()}


def _recovered_after(courses: list[dict[str, list[float]]], model: str) -> int | None:
    """Labels scored since the shock until 1,000 in a row, mean over seeds, are expected to within `_GAP`."""
    length = min(len(course["outcome"]) for course in courses)
    gaps = [np.subtract(course["outcome"][:length], course[f"score {model}"][:length]) for course in courses]
    gap = np.mean(gaps, axis=0)[_BINS_BEFORE:]
    for number in range(len(gap) - 3):
        if abs(gap[number : number + 4].mean()) <= _GAP:
            return number * _BIN
    return None


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds; differences are paired by seed, with 95 % intervals by Student's t."""
    return {
        period: {
            "log_loss": {
                name: float(np.mean([run["log_loss"][period][name] for run in runs]))
                for name in runs[0]["log_loss"][period]
            },
            **{
                f"{better} − {worse}": _interval([run["log_loss"][period] for run in runs], better, worse)
                for better, worse in _COMPARED
            },
        }
        for period in PERIODS
    }


def _interval(losses: list[dict[str, float]], better: str, worse: str) -> dict[str, float]:
    differences = np.array([each[better] - each[worse] for each in losses])
    half = stats.t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences))
    return {
        "mean": float(differences.mean()),
        "low": float(differences.mean() - half),
        "high": float(differences.mean() + half),
    }


def tables(evidence: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "| scenario | scored | forest | blend | rule | blend − forest | blend − rule |",
        "|---|---|---|---|---|---|---|",
    ]
    for scenario, periods in evidence["results"].items():
        for period, result in periods.items():
            loss = result["log_loss"]
            lines.append(
                f"| {scenario} | {period} | {loss['forest']:.4f} | {loss['blend']:.4f} | {loss['rule']:.4f} "
                f"| {_told(result['blend − forest'])} | {_told(result['blend − rule'])} |"
            )
    lines += [
        "",
        "| scenario | recovered: forest | recovered: blend | late − at the time | forest's loss alerts |",
        "|---|---|---|---|---|",
    ]
    for scenario, recovered in evidence["recovered_after"].items():
        runs = [run for run in evidence["runs"] if run["scenario"] == scenario]
        warned = sum("loss_drift forest" in run["alerts"] for run in runs)
        late = _told(evidence["results"][scenario]["after"]["late online − online"])
        lines.append(
            f"| {scenario} | {_labels(recovered['forest'])} | {_labels(recovered['blend'])} | {late} "
            f"| in {warned} of {len(runs)} portfolios |"
        )
    return "\n".join(lines)


def _labels(count: int | None) -> str:
    return "not in the time simulated" if count is None else f"{count:,} labels"


def _told(interval: dict[str, float]) -> str:
    return f"{interval['mean']:+.4f} ({interval['low']:+.4f} to {interval['high']:+.4f})"


if __name__ == "__main__":
    main()
