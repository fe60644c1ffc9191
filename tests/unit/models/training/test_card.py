"""The model card: says what the report found, by the names of the features."""

import pandas as pd

from models.training.card import model_card
from models.training.notebook import train_notebook
from streams.contracts.feature_names import NOTEBOOK_FEATURES
from tests.support.training import POLICY


def test_the_card_names_target_data_digest_features_and_segments(snapshot: pd.DataFrame) -> None:
    report = train_notebook(snapshot, "my [table].csv", POLICY, seed=3).report
    card = model_card(report, "d" * 64)
    assert "| target | `notebook`: " in card
    assert "| data | my [table].csv |" in card
    assert "`" + "d" * 64 + "`" in card
    assert all(f"| {feature.name} | {feature.unit} |" in card for feature in NOTEBOOK_FEATURES)
    assert all(f"| {segment.name} | {segment.loans:,} |" in card for segment in report.segments)
    assert f"{report.test.auc:.3f}" in card
