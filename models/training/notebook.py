"""The notebook's recipe: K-Means segments, a flag on the risky ones, and a forest that learns the flag."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from models.serving.arrays import Floats, Outcomes
from models.serving.segments import Segmenter
from models.serving.targets import MEANING, Target, feature_names
from models.training.clustering import HIGH_RISK, fit_segments
from models.training.costs import Policy, cost_report
from models.training.evaluation import evaluate, importances
from models.training.fairness import Person, fairness
from models.training.forest import (
    PartReport,
    TrainedModel,
    TrainingReport,
    fit_calibrated,
    held_out_borrowers,
    require_both_classes,
    segment_reports,
)

# The table's columns for `NOTEBOOK_FEATURES`, in their order.
COLUMNS = ("Monthly_Income", "Loan_Amount", "Monthly_EMI", "Num_Missed_Payments", "Days_Past_Due")
_CIRCULAR = (
    "The flag is a function of the same five numbers that the forest sees: the test part says how well the forest "
    "repeats the segments, not how well it predicts a default."
)


def train_notebook(frame: pd.DataFrame, name: str, policy: Policy, seed: int) -> TrainedModel:
    """Train on a checked table of `SNAPSHOT_COLUMNS`; `name` is how the model card calls it.

    Segments are found on the training borrowers alone. Costs are judged by `Recovery_Status`, an outcome the forest
    was not fitted on, where both outcomes occur. Raises `TrainingError` and `ClusteringError` on too small a table.
    """
    names = feature_names(Target.NOTEBOOK)
    rows, borrower = loan_rows(frame), frame["Borrower_ID"].to_numpy(dtype=str)
    calibration, test = held_out_borrowers(borrower)
    parts = {"train": ~calibration & ~test, "calibration": calibration, "test": test}
    segmenter = fit_segments(rows[parts["train"]], seed)
    flag = high_risk_flag(segmenter, rows)
    classifier, forest = fit_calibrated(
        names, (rows[parts["train"]], flag[parts["train"]]), (rows[calibration], flag[calibration]), seed
    )
    require_both_classes("test", flag[test])
    scores = forest.predict(rows)
    unrecovered = not_recovered(frame)
    judged_by, notes = _yardstick(unrecovered, flag, scores, calibration, test)
    report = TrainingReport(
        target=Target.NOTEBOOK,
        meaning=MEANING[Target.NOTEBOOK],
        data=name,
        seed=seed,
        cut_off=None,
        parts={
            part: PartReport(int(mask.sum()), int(mask.sum()), float(flag[mask].mean())) for part, mask in parts.items()
        },
        test=evaluate(flag[test], scores[test]),
        importance=importances(classifier, rows[test], flag[test], names, seed),
        costs=cost_report((judged_by[calibration], scores[calibration]), (judged_by[test], scores[test]), policy),
        fairness=fairness(people(frame), borrower[test], judged_by[test], scores[test], policy.strategy),
        segments=segment_reports(segmenter, rows),
        notes=(_CIRCULAR, *notes),
    )
    return TrainedModel(forest, segmenter, report)


def loan_rows(frame: pd.DataFrame) -> Floats:
    """The table's rows of `NOTEBOOK_FEATURES`, n × 5."""
    return frame[list(COLUMNS)].to_numpy(dtype=np.float64)


def high_risk_flag(segmenter: Segmenter, rows: Floats) -> Outcomes:
    """1 for rows in a high-risk segment."""
    return np.array([segment in HIGH_RISK for segment in segmenter.assign(rows)], dtype=np.int64)


def not_recovered(frame: pd.DataFrame) -> Outcomes:
    """1 where the loan was not fully recovered."""
    recovered = frame["Recovery_Status"].str.casefold() == "fully recovered"
    return 1 - recovered.to_numpy().astype(np.int64)


def people(frame: pd.DataFrame) -> dict[str, Person]:
    """Gender and age by borrower, for the fairness report."""
    columns = (frame["Borrower_ID"], frame["Gender"].str.lower(), frame["Age"].astype(int))
    return {str(borrower): Person(str(gender), int(age)) for borrower, gender, age in zip(*columns, strict=True)}


def _yardstick(
    unrecovered: Outcomes, flag: Outcomes, scores: Floats, calibration: NDArray[np.bool_], test: NDArray[np.bool_]
) -> tuple[Outcomes, tuple[str, ...]]:
    """The outcome by which costs and groups are judged, and a note on it."""
    if len(np.unique(unrecovered[test])) < 2 or len(np.unique(unrecovered[calibration])) < 2:
        return flag, ("Recovery_Status has one outcome only here, so costs and groups are judged by the flag.",)
    auc = roc_auc_score(unrecovered[test], scores[test])
    return unrecovered, (
        "Costs and groups are judged by Recovery_Status: a loan that was not fully recovered is a loss.",
        f"Against Recovery_Status, which it was not fitted on, the score's AUC is {auc:.3f} on the test part.",
    )
