"""Training data from simulated history; the stream's own engine computes the features, as it does in serving."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from models.serving.arrays import Floats
from models.training.fairness import Person
from models.training.forest import History, TrainingSet
from producers.simulator.simulate import SimulationConfig, simulate
from streams.account.codec import CLOCK_PREFIX, decode_state
from streams.account.rules import AccountRules
from streams.account.standing import position
from streams.contracts.events import LoanOpened
from streams.contracts.feature_names import NOTEBOOK_FEATURE_NAMES, ROW_NAMES, columns
from streams.contracts.labels import Label
from streams.contracts.records import Record
from streams.decide import Rules
from streams.features import loan_row
from streams.history.offline import number_offsets, run_offline
from streams.score import ModelSet
from streams.strategy import LABEL_DAYS


def simulated_history(config: SimulationConfig, rules: Rules) -> History:
    """Simulate, run the events through the engine unscored, and collect the labels it emits."""
    table: dict[str, bytes] = {}
    # Simulated days are not Kafka's.
    rules = replace(rules, days_ahead=None)
    people: dict[str, Person] = {}
    labels = [
        Label.model_validate_json(outgoing.value)
        for result in run_offline(_records(config, people), ModelSet(None), rules, table)
        for _, outgoing in result.outgoing
        if outgoing.kind == "label"
    ]
    name = f"simulated history: {config.borrowers:,} borrowers, {config.days} days, seed {config.seed}"
    return History(training_set(labels), _open_loans(table, rules.account), people, name)


def training_set(labels: list[Label]) -> TrainingSet:
    """Labels as the arrays that training wants: n rows of features with their outcomes and dates (ordinals)."""
    return TrainingSet(
        X=np.array([label.features for label in labels], dtype=np.float64),
        y=np.array([label.outcome for label in labels], dtype=np.int64),
        borrower=np.array([label.borrower_id for label in labels]),
        scored_on=np.array([label.scored_on.toordinal() for label in labels]),
        known_on=np.array([label.due_date.toordinal() + LABEL_DAYS for label in labels]),
    )


def _open_loans(table: Mapping[str, bytes], rules: AccountRules) -> Floats:
    """The rows of `NOTEBOOK_FEATURES` of all loans that are open in the engine's table."""
    accounts = [decode_state(row).account for key, row in table.items() if not key.startswith(CLOCK_PREFIX)]
    rows = [
        loan_row(loan, position(loan, loan.as_of, rules), rules)
        for account in accounts
        for loan in account.loans
        if not loan.closed
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, len(ROW_NAMES))[:, columns(NOTEBOOK_FEATURE_NAMES)]


def _records(config: SimulationConfig, people: dict[str, Person]) -> Iterator[Record]:
    """The simulation's records; fills `people` with the borrowers they are about."""

    def messages() -> Iterator[tuple[int | None, bytes | None, bytes]]:
        for emission in simulate(config):
            if isinstance(emission.event, LoanOpened):
                profile = emission.event.profile
                people[emission.event.borrower_id] = Person(profile.gender, profile.age)
            yield emission.partition, emission.key, emission.event.to_json()

    return number_offsets(messages(), lambda key: zlib.crc32(key) % config.partitions, round(time.time() * 1000))
