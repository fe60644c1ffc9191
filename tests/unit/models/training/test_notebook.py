"""The notebook's recipe: judged on borrowers it has not seen, and served by the worker."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.serving import store
from models.training.clustering import HIGH_RISK
from models.training.forest import (
    TrainingError,
    held_out_borrowers,
)
from models.training.forest_file import keep
from models.training.notebook import high_risk_flag, loan_rows, not_recovered, train_notebook
from streams.contracts.feature_names import NOTEBOOK_FEATURE_NAMES, ROW_NAMES
from streams.score import ModelSet
from tests.support.training import POLICY


def test_notebook_recipe_is_judged_on_held_out_borrowers_and_served_by_the_worker(
    snapshot: pd.DataFrame, tmp_path: Path
) -> None:
    trained = train_notebook(snapshot, "snapshot", POLICY, seed=3)
    report = trained.report
    _, test = held_out_borrowers(snapshot["Borrower_ID"].to_numpy(dtype=str))
    assert report.parts["test"].rows == report.test.rows == int(test.sum())
    assert report.test.auc > 0.9
    assert any("Recovery_Status" in note for note in report.notes)
    flag = high_risk_flag(trained.segmenter, loan_rows(snapshot))
    assert 0 < flag.mean() < 0.5 < not_recovered(snapshot)[flag == 1].mean() / not_recovered(snapshot)[flag == 0].mean()
    card = keep(trained, tmp_path)
    assert "high-risk K-Means" in card.read_text()
    served = store.load(tmp_path)
    book = ModelSet(served.forest, served.segmenter)
    rows = np.zeros((len(snapshot), len(ROW_NAMES)))
    rows[:, [ROW_NAMES.index(name) for name in NOTEBOOK_FEATURE_NAMES]] = loan_rows(snapshot)
    scores = book.score([tuple(row) for row in rows.tolist()])
    assert (scores.forest == trained.forest.predict(loan_rows(snapshot))).all()
    assert [segment in HIGH_RISK for segment in scores.segments] == (flag == 1).tolist()
    _, (parts,) = book.contributions([tuple(rows[0].tolist())])
    assert {name for name, part in zip(ROW_NAMES, parts, strict=True) if part} <= set(NOTEBOOK_FEATURE_NAMES)


def test_one_outcome_only_falls_back_to_the_flag(snapshot: pd.DataFrame) -> None:
    report = train_notebook(snapshot.assign(Recovery_Status="Fully Recovered"), "snapshot", POLICY, seed=3).report
    assert any("judged by the flag" in note for note in report.notes)
    with pytest.raises(TrainingError, match="both good and bad"):
        train_notebook(snapshot.head(12), "snapshot", POLICY, seed=3)
