"""Training: no leak between the parts, figures checked by hand, clear words when data are not enough."""

from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.serving import store
from models.training.clustering import HIGH_RISK, ClusteringError, fit_segments, name_segments, try_ks
from models.training.costs import CostTable, best_thresholds, cost, cost_report, policy_of
from models.training.evaluation import evaluate
from models.training.fairness import Person, age_band, fairness
from models.training.forest import (
    History,
    TrainingError,
    TrainingSet,
    held_out_borrowers,
    split_by_borrower_and_time,
    train_forest,
)
from models.training.forest_file import keep
from models.training.notebook import high_risk_flag, loan_rows, not_recovered, train_notebook
from models.training.panel import panel_history
from models.training.sample import simulated_panel, simulated_snapshot
from producers.simulator.simulate import SimulationConfig
from producers.tables.check import PANEL_COLUMNS, PANEL_KEY, SNAPSHOT_COLUMNS, check_table, read_table
from streams.account.rules import AccountRules
from streams.config.settings import Settings
from streams.contracts.feature_names import FEATURE_NAMES, NOTEBOOK_FEATURE_NAMES, ROW_NAMES
from streams.contracts.vocabulary import Segment
from streams.score import ModelSet
from streams.strategy import StrategyRules

RULES = AccountRules()
POLICY = policy_of(Settings())
COSTS = POLICY.costs


def scorings(rows: int, borrowers: int) -> TrainingSet:
    draw = np.random.default_rng(9)
    features = draw.normal(0, 1, (rows, len(FEATURE_NAMES)))
    scored = draw.integers(700_000, 700_400, rows)
    return TrainingSet(
        features,
        (features[:, 0] + draw.normal(0, 0.5, rows) > 1).astype(np.int64),
        np.array([f"B{each}" for each in draw.integers(0, borrowers, rows)]),
        scored,
        scored + 50,
    )


def history(outcomes: TrainingSet) -> History:
    people = {f"B{number}": Person("female" if number % 2 else "male", 20 + number % 60) for number in range(300)}
    return History(outcomes, np.random.default_rng(1).random((200, 5)) * 100, people, "made up")


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    return simulated_panel(SimulationConfig(borrowers=150, days=430, seed=5), RULES)


@pytest.fixture(scope="module")
def snapshot() -> pd.DataFrame:
    return check_table(simulated_snapshot(SimulationConfig(borrowers=420, days=330, seed=2), RULES), SNAPSHOT_COLUMNS)


def assert_no_leak(data: TrainingSet) -> None:
    split = split_by_borrower_and_time(data)
    parts = (split.train, split.calibration, split.test)
    names = [set(part.borrower.tolist()) for part in parts]
    assert all(names)
    assert len(set().union(*names)) == sum(map(len, names))
    assert max(split.train.known_on.max(), split.calibration.known_on.max()) <= split.cut_off
    assert split.test.scored_on.min() > split.cut_off


def test_no_borrower_and_no_later_month_stands_on_both_sides() -> None:
    assert_no_leak(scorings(4000, 300))


def test_training_reports_on_what_it_has_not_seen_and_repeats_itself() -> None:
    data = history(scorings(2500, 300))
    first, again = (train_forest(data, POLICY, seed=4) for _ in range(2))
    assert first.report == again.report
    assert first.report.test.auc > 0.85
    assert first.report.importance[0].feature == FEATURE_NAMES[0]
    assert sum(segment.loans for segment in first.report.segments) == 200


def test_what_cannot_train_is_said() -> None:
    data = scorings(4000, 300)
    one_class = TrainingSet(data.X, np.zeros_like(data.y), data.borrower, data.scored_on, data.known_on)
    with pytest.raises(TrainingError, match="both good and bad"):
        train_forest(history(one_class), POLICY, seed=1)
    data.X[:, 2] = np.inf
    with pytest.raises(TrainingError, match=FEATURE_NAMES[2]):
        train_forest(history(data), POLICY, seed=1)
    with pytest.raises(TrainingError, match="too short"):
        train_forest(history(data.where(np.zeros(4000, dtype=bool))), POLICY, seed=1)


def test_evaluation_by_hand() -> None:
    y = np.array([0, 0, 0, 1, 0, 1, 0, 0, 1, 1])
    scores = np.arange(10) / 10
    found = evaluate(y, scores)
    assert found.auc == pytest.approx(19 / 24)
    assert found.lift[0].lift == pytest.approx(1 / 0.4)
    assert [row.caught_so_far for row in found.lift][-1] == 1
    half = next(row for row in found.confusion if row.threshold == 0.5)
    assert (half.true_positive, half.false_positive, half.false_negative, half.true_negative) == (3, 2, 1, 4)
    assert (half.precision, half.recall) == (0.6, 0.75)


def test_costs_by_hand() -> None:
    table = CostTable(Decimal(1), Decimal(10), Decimal(40), Decimal(100), 0.5, 0.9)
    y, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.6, 0.6, 0.1])
    # Reminded: 1; settled good: 11; settled bad: 11 + 50; recovered bad: 41 + 10.
    assert cost(y, scores, 0.5, 0.75, table) == pytest.approx(1000 * (51 + 11 + 61 + 1) / 4)


def test_the_default_costs_make_the_notebooks_thresholds_the_best_for_calibrated_scores() -> None:
    draw = np.random.default_rng(0)
    scores = draw.random(100_000)
    y = (draw.random(100_000) < scores).astype(np.int64)
    assert best_thresholds(y, scores, COSTS) == pytest.approx((0.50, 0.75), abs=0.04)
    report = cost_report((y, scores), (y, scores), POLICY)
    assert report.best.cost <= report.in_force.cost <= report.reminders_only
    assert len(report.curve) == 99


def test_settlement_is_never_above_recovery() -> None:
    reversed_costs = CostTable(Decimal(1), Decimal(300), Decimal(310), Decimal(1000), 0.3, 0.9)
    draw = np.random.default_rng(0)
    scores = draw.random(5000)
    first, second = best_thresholds((draw.random(5000) < scores).astype(np.int64), scores, reversed_costs)
    assert first <= second


def test_groups_count_each_borrower_once_with_wilson_intervals() -> None:
    people = {"A": Person("female", 24), "B": Person("female", 30), "C": Person("male", 66)}
    borrower = np.array(["A", "B", "A", "C", "unknown"])
    rates = fairness(people, borrower, np.array([0, 1, 1, 0, 1]), np.array([0.1, 0.6, 0.8, 0.2, 0.9]), StrategyRules())
    told = {(each.attribute, each.group): each for each in rates}
    assert set(told) == {("gender", "female"), ("gender", "male"), ("age", "18-24"), ("age", "25-34"), ("age", "65+")}
    female = told["gender", "female"]
    assert (female.borrowers, female.settlement_or_more.value, female.recovery.value) == (2, 1.0, 0.5)
    # Wilson's interval for 1 of 2 (1927): (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n).
    assert (female.recovery.low, female.recovery.high) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert female.outcome.value == 1.0
    assert [age_band(age) for age in (18, 25, 64, 65)] == ["18-24", "25-34", "55-64", "65+"]


def test_segments_are_named_by_their_centres_whatever_their_order() -> None:
    typical = np.array(
        [[3000, 9000, 350, 1, 2], [2200, 10000, 500, 8, 60], [3500, 150000, 1600, 3, 9], [7000, 9000, 350, 1, 1.0]]
    )
    scaled = (typical - typical.mean(axis=0)) / typical.std(axis=0)
    expected = [
        Segment.BALANCED,
        Segment.HIGH_LOAN_HIGHER_RISK,
        Segment.MODERATE_INCOME_HIGH_BURDEN,
        Segment.HIGH_INCOME_LOW_RISK,
    ]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        assert name_segments(scaled[order], typical[order]) == tuple(expected[at] for at in order)


def test_segments_find_the_groups_that_are_there_and_say_when_there_are_none() -> None:
    draw = np.random.default_rng(2)
    centres = np.array(
        [[3000, 9000, 350, 1, 2], [2200, 10000, 500, 9, 60], [3500, 150000, 1600, 3, 9], [9000, 9000, 350, 1, 1]]
    )
    rows = np.repeat(centres, 50, axis=0) * draw.normal(1, 0.05, (200, 5))
    segmenter = fit_segments(rows, seed=1)
    assert Counter(segmenter.assign(rows)) == dict.fromkeys(Segment, 50)
    assert segmenter.assign(centres[1:2]) == [Segment.HIGH_LOAN_HIGHER_RISK]
    assert max(try_ks(rows, seed=1), key=lambda trial: trial.silhouette).k == 4
    with pytest.raises(ClusteringError, match="200 loans with 3 different profiles"):
        fit_segments(np.repeat(centres[:3], [100, 50, 50], axis=0), seed=1)


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


def test_a_panel_gives_the_streams_features_and_the_rows_own_arrears(panel: pd.DataFrame) -> None:
    told = panel_history(check_table(panel, PANEL_COLUMNS, PANEL_KEY), "panel", RULES)
    assert told.refused == []
    data = told.history.outcomes
    rows = panel.set_index(["Borrower_ID", "As_Of"])
    seen = rows.loc[[(b, date.fromordinal(day)) for b, day in zip(data.borrower, data.scored_on, strict=True)]]
    assert (data.X[:, FEATURE_NAMES.index("days_past_due")] == seen["Days_Past_Due"]).all()
    # Which of several instalments was the late one is not in the rows, so a few missed counts are off by one.
    missed = np.abs(data.X[:, FEATURE_NAMES.index("missed_count")] - seen["Num_Missed_Payments"])
    assert missed.max() <= 1
    assert missed.mean() < 0.03
    assert len(told.history.loans) == panel["Loan_ID"].nunique()
    assert 0.01 < data.y.mean() < 0.3


def test_a_panels_features_do_not_know_later_months(panel: pd.DataFrame) -> None:
    whole = panel_history(check_table(panel, PANEL_COLUMNS, PANEL_KEY), "panel", RULES).history.outcomes
    assert_no_leak(whole)
    cut = sorted(panel["As_Of"].unique())[8]
    early = panel_history(
        check_table(panel[panel["As_Of"] <= cut], PANEL_COLUMNS, PANEL_KEY), "panel", RULES
    ).history.outcomes
    known = whole.where(whole.known_on <= cut.toordinal())

    def by_moment(data: TrainingSet) -> dict[tuple[str, int], tuple[tuple[float, ...], int]]:
        keys = zip(data.borrower.tolist(), data.scored_on.tolist(), strict=True)
        return dict(zip(keys, zip(map(tuple, data.X.tolist()), data.y.tolist(), strict=True), strict=True))

    assert len(early.y) > 300
    assert by_moment(early) == by_moment(known)


def panel_rows(*months: tuple[str, int, int]) -> pd.DataFrame:
    loan = {
        "Borrower_ID": "B1",
        "Loan_ID": "L1",
        "First_Due_Date": "2025-01-15",
        "Age": 40,
        "Gender": "Female",
        "Employment_Type": "Salaried",
        "Monthly_Income": 3000,
        "Num_Dependents": 0,
        "Loan_Amount": 5000,
        "Loan_Tenure": 12,
        "Interest_Rate": 10,
        "Collateral_Value": 0,
        "Monthly_EMI": 440,
    }
    rows = [loan | {"As_Of": day, "Days_Past_Due": dpd, "Num_Missed_Payments": missed} for day, dpd, missed in months]
    return check_table(pd.DataFrame(rows), PANEL_COLUMNS, PANEL_KEY)


def test_labels_of_a_panel_by_hand() -> None:
    # February's and March's instalments reach 30 days past due; in May all is caught up, April's with it.
    told = panel_history(
        panel_rows(
            ("2025-01-31", 0, 0),
            ("2025-02-28", 13, 1),
            ("2025-03-31", 44, 2),
            ("2025-04-30", 74, 3),
            ("2025-05-31", 0, 3),
            ("2025-06-30", 0, 3),
        ),
        "panel",
        RULES,
    )
    data = told.history.outcomes
    assert [date.fromordinal(day).month for day in data.scored_on] == [1, 2, 3, 4]
    assert data.y.tolist() == [1, 1, 0, 0]
    assert [date.fromordinal(day).month for day in data.known_on] == [3, 4, 5, 6]
    assert data.X[:, FEATURE_NAMES.index("missed_count")].tolist() == [0, 1, 2, 3]
    assert data.X[:, FEATURE_NAMES.index("worst_days_past_due")].tolist() == [0, 13, 44, 74]


def test_a_returned_payment_and_a_lenders_own_way_of_counting_days() -> None:
    told = panel_history(panel_rows(("2025-02-28", 0, 0), ("2025-03-31", 45, 2), ("2025-04-30", 1, 3)), "panel", RULES)
    assert told.refused == []
    (row,) = told.history.loans.tolist()
    assert row[NOTEBOOK_FEATURE_NAMES.index("days_past_due")] == 15


@pytest.mark.parametrize(
    ("months", "reason"),
    [
        ([("2025-01-10", 5, 1), ("2025-02-28", 0, 0)], "Days_Past_Due: 5 before"),
        ([("2025-01-31", 0, 0), ("2025-04-30", 0, 0)], "As_Of: a month is missing before 2025-04-30"),
        ([("2025-08-31", 0, 0), ("2025-09-30", 258, 9)], "before the ledger window"),
    ],
)
def test_loans_that_contradict_themselves_are_left_out_with_a_reason(
    months: list[tuple[str, int, int]], reason: str
) -> None:
    with pytest.raises(TrainingError, match=f"L1: .*{reason}"):
        panel_history(panel_rows(*months), "panel", RULES)


@pytest.mark.parametrize("name", ["panel.csv", "panel.parquet"])
def test_a_panel_reads_the_same_from_csv_and_parquet(panel: pd.DataFrame, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    panel.to_csv(path, index=False) if name.endswith("csv") else panel.to_parquet(path)
    read = read_table(path, PANEL_COLUMNS, PANEL_KEY)
    pd.testing.assert_frame_equal(read, check_table(panel, PANEL_COLUMNS, PANEL_KEY), check_dtype=False)
