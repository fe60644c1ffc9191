"""What every benchmark works on: a stream of events of any length, one forest in two forms, one online model.

The stream is a simulated portfolio's life, told of more and more borrowers by copies under other ids; so its mix of
openings, payments, misses and reversals is the same at any length, and a slow system can be given a short one.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.serving import store
from models.serving.forest import Forest
from models.serving.targets import Target, feature_names
from models.training.clustering import fit_segments
from models.training.forest import fit_calibrated, split_by_borrower_and_time
from models.training.history import simulated_history
from producers.faults import FaultConfig, FaultTally, OutgoingRecord
from producers.publisher import simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.contracts.labels import Label
from streams.contracts.snapshots import ModelSnapshot
from streams.decide import Rules
from streams.history.offline import number_offsets, run_offline
from streams.learner.state import LearnerState
from streams.score import ModelSet

BASE_BORROWERS = 250
_DAYS = 300
SEED = 5
PREFIX = f"S{SEED}-"
_LABELS = 600


@dataclass(frozen=True)
class Material:
    """A folder with the model as riskmon serves it, what the same forest is fitted on, and the online models."""

    folder: Path

    @property
    def model_dir(self) -> Path:
        """The forest as riskmon loads it."""
        return self.folder / "model"

    def snapshot(self) -> ModelSnapshot:
        """The online models after some labels."""
        return ModelSnapshot.model_validate_json((self.folder / "snapshot.json").read_bytes())

    def model_set(self) -> ModelSet:
        """All models as riskmon uses them."""
        model = store.load(self.model_dir)
        return ModelSet(model.forest, model.segmenter).with_snapshot(self.snapshot())

    def fit_again(self) -> tuple[Any, Forest]:
        """The forest as scikit-learn's classifier, fitted on the same rows with the same seed, and as arrays."""
        with np.load(self.folder / "training.npz", allow_pickle=False) as rows:
            train, calibration = (rows["X"], rows["y"]), (rows["X_calibration"], rows["y_calibration"])
        return fit_calibrated(feature_names(Target.NEXT_INSTALMENT), train, calibration, SEED)


def prepare(folder: Path) -> Material:
    """Simulate, train and write everything."""
    history = simulated_history(SimulationConfig(borrowers=900, days=480, seed=SEED + 1), Rules(days_ahead=None))
    split = split_by_borrower_and_time(history.outcomes)
    material = Material(folder)
    np.savez(
        folder / "training.npz",
        X=split.train.X,
        y=split.train.y,
        X_calibration=split.calibration.X,
        y_calibration=split.calibration.y,
    )
    _, forest = material.fit_again()
    model = store.Model(forest, fit_segments(history.loans, SEED), Target.NEXT_INSTALMENT)
    store.save(model, {}, str, material.model_dir)
    (folder / "snapshot.json").write_text(_taught(model).model_dump_json())
    return material


def base_events(*, ticks: bool = False) -> list[OutgoingRecord]:
    """The life of one set of borrowers; ticks touch whoever is past due, which no rival has a like of."""
    simulation = SimulationConfig(borrowers=BASE_BORROWERS, days=_DAYS, seed=SEED)
    records = simulated_records(simulation, FaultConfig(duplicates=0.01, disorder=0.01), FaultTally())
    return [record for record in records if ticks or record.key is not None]


def copies(base: list[OutgoingRecord], count: int) -> Iterator[OutgoingRecord]:
    """The same life lived by `count` times as many borrowers, side by side; a tick is told once."""
    for record in base:
        if record.key is None:
            yield record
            continue
        for number in range(count):
            yield renamed(record, number)


def renamed(record: OutgoingRecord, number: int) -> OutgoingRecord:
    """The event of the borrower's copy: every id in it is another."""
    old, new = PREFIX.encode(), f"S{SEED}x{number}-".encode()
    value = record.value.replace(b'"' + old, b'"' + new)
    return OutgoingRecord(record.partition, (record.key or b"").replace(old, new, 1), value)


def _taught(model: store.Model) -> ModelSnapshot:
    lesson, offset = LearnerState(), 0
    records = number_offsets(base_events(ticks=True), lambda key: zlib.crc32(key) % 4, round(time.time() * 1000))
    for result in run_offline(records, ModelSet(model.forest, model.segmenter), Rules(days_ahead=None), {}):
        for _, sent in result.outgoing:
            if sent.kind == "label" and offset < _LABELS:
                lesson.learn(Label.model_validate_json(sent.value), offset)
                offset += 1
    return lesson.snapshot()
