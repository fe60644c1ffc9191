"""What both rivals call for each event: riskmon's own core on a batch of one, with the state wherever they keep it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.material import Material
from models.serving.arrays import Floats
from models.serving.forest import Forest
from streams.contracts.records import Record
from streams.decide import BatchResult, Engine, Rules
from streams.score import ModelSet


class ByEvent:
    """Decide one record at a time; `lookup` gives a borrower's row by id, or None."""

    def __init__(self, model_set: ModelSet, lookup: Callable[[str], bytes | None]) -> None:
        self._model_set = model_set
        self._engine = Engine(Rules(days_ahead=None), lookup)

    def decide(self, record: Record) -> BatchResult:
        """The new row, the actions and labels to send, and a refusal if there is one."""
        return self._engine.process([record], self._model_set, datetime.now(UTC))


@dataclass(frozen=True, eq=False)
class SklearnForest(Forest):
    """The same forest asked through scikit-learn, as most would."""

    classifier: Any

    def raw(self, rows: Floats) -> Floats:
        """One `predict_proba` a call."""
        probabilities: Floats = self.classifier.predict_proba(rows)[:, 1]
        return probabilities


def book_with_sklearn(folder: Path) -> ModelSet:
    """The models with scikit-learn's own classifier inside."""
    material = Material(folder)
    classifier, forest = material.fit_again()
    classifier.set_params(n_jobs=1)
    asked = SklearnForest(**{each.name: getattr(forest, each.name) for each in fields(forest)}, classifier=classifier)
    return replace(material.model_set(), forest=asked)
