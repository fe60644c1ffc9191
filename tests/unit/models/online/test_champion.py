"""The choice of the champion: the better one takes over, equals do not take turns."""

from models.online.blend import MIN_LABELS
from models.online.champion import choose_champion
from models.online.scoreboard import WINDOW
from tests.support.scoreboards import filled


def test_the_better_challenger_takes_over_and_keeps_the_place() -> None:
    record = filled(WINDOW, forest=0.8, a=0.7, b=0.75)
    assert choose_champion("a", ("a", "b"), record) == "b"
    assert choose_champion("b", ("a", "b"), record) == "b"
    assert choose_champion("a", ("a", "b"), filled(MIN_LABELS - 1, forest=0.8, a=0.7, b=0.75)) == "a"


def test_equals_do_not_take_turns() -> None:
    """Two models of the same skill, over many windows: the champion stays."""
    champion, switches = "a", 0
    for seed in range(40):
        chosen = choose_champion(champion, ("a", "b"), filled(500, seed=seed, forest=0.8, a=0.7, b=0.7))
        switches += chosen != champion
        champion = chosen
    assert switches <= 1
