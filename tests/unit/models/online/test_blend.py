"""The online model's share of the blend follows the better model."""

import pytest

from models.online.blend import MIN_LABELS, online_share
from models.online.scoreboard import WINDOW
from tests.support.scoreboards import filled


def test_the_share_waits_then_follows_the_better_model() -> None:
    assert online_share(filled(MIN_LABELS - 1, forest=0.6, a=0.9), "a") == 0
    assert online_share(filled(MIN_LABELS, forest=0.6, a=0.9), "a") > 0.9
    assert online_share(filled(MIN_LABELS, forest=0.9, a=0.6), "a") < 0.1
    assert online_share(filled(WINDOW, forest=0.8, a=0.8), "a") == pytest.approx(0.5, abs=0.1)
