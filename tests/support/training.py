"""Made-up scorings, histories and panels for the tests of training."""

import numpy as np
import pandas as pd

from models.training.costs import policy_of
from models.training.fairness import Person
from models.training.forest import (
    History,
    TrainingSet,
    split_by_borrower_and_time,
)
from producers.tables.check import PANEL_COLUMNS, PANEL_KEY
from streams.account.rules import AccountRules
from streams.config.settings import Settings
from streams.contracts.feature_names import FEATURE_NAMES
from tests.support.tables import check_table

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


def assert_no_leak(data: TrainingSet) -> None:
    split = split_by_borrower_and_time(data)
    parts = (split.train, split.calibration, split.test)
    names = [set(part.borrower.tolist()) for part in parts]
    assert all(names)
    assert len(set().union(*names)) == sum(map(len, names))
    assert max(split.train.known_on.max(), split.calibration.known_on.max()) <= split.cut_off
    assert split.test.scored_on.min() > split.cut_off


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
