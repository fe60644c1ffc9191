import pytest

from streams.contracts.vocabulary import Strategy
from streams.strategy import StrategyRules, next_strategy, strategy_for

RULES = StrategyRules()


@pytest.mark.parametrize(
    ("score", "strategy"),
    [
        (0.0, Strategy.REMINDER),
        (0.4999, Strategy.REMINDER),
        (0.50, Strategy.SETTLEMENT),
        (0.75, Strategy.SETTLEMENT),
        (0.7501, Strategy.RECOVERY),
        (1.0, Strategy.RECOVERY),
    ],
)
def test_thresholds(score: float, strategy: Strategy) -> None:
    assert strategy_for(score, RULES) is strategy


@pytest.mark.parametrize(
    ("previous", "score", "then"),
    [
        (Strategy.REMINDER, 0.76, Strategy.RECOVERY),
        (Strategy.RECOVERY, 0.72, Strategy.RECOVERY),
        (Strategy.RECOVERY, 0.69, Strategy.SETTLEMENT),
        (Strategy.RECOVERY, 0.47, Strategy.SETTLEMENT),
        (Strategy.RECOVERY, 0.10, Strategy.REMINDER),
        (Strategy.SETTLEMENT, 0.46, Strategy.SETTLEMENT),
        (Strategy.SETTLEMENT, 0.44, Strategy.REMINDER),
        (Strategy.NONE, 0.10, Strategy.REMINDER),
        (Strategy.RECOVERY, None, Strategy.NONE),
    ],
)
def test_escalation_is_immediate_and_relaxing_waits_for_the_margin(
    previous: Strategy, score: float | None, then: Strategy
) -> None:
    assert next_strategy(previous, score, RULES) is then
