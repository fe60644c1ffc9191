"""Figures of a forest's quality, checked by hand."""

import numpy as np
import pytest

from models.training.evaluation import evaluate


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
