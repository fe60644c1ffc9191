"""What the console remembers, without Kafka: counts that add up, and bounds that hold."""

from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
import numpy as np
import pytest

from monitoring.console import views
from monitoring.console.action_log import ActionFilter, ActionLog
from monitoring.console.board import Board
from monitoring.console.portfolio import Portfolio
from monitoring.console.quality import Quality
from monitoring.console.series import Series
from monitoring.console.stream_health import StreamHealth
from streams.account.codec import BorrowerState, PartitionClock
from streams.account.decision_state import DecisionState
from streams.account.loan import Account
from streams.config.settings import Settings
from streams.contracts.actions import Action
from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.labels import Label
from streams.contracts.vocabulary import Strategy
from streams.kafka.dead_letters import FiledLetter
from streams.kafka.group import GroupProgress
from tests.support.factories import action

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def state(name: str, days_past_due: int, strategy: Strategy, offset: int, *, is_open: bool = True) -> BorrowerState:
    decision = DecisionState(strategy, 0.5, (), days_past_due, 100 * days_past_due, is_open)
    return BorrowerState(Account(name, 1), decision, 0, offset)


def numbered(number: int, **changes: object) -> Action:
    """The action with that number, decided as many seconds after the start."""
    at = NOW + timedelta(seconds=number)
    return action(action_id=f"0-{number}", occurred_at=at, published_at=at, decided_at=at, **changes)


def label(number: int, score: float, *, outcome: bool, online_version: int = 1) -> Label:
    return Label.model_validate(
        {
            "borrower_id": "B1",
            "origin_partition": 0,
            "origin_offset": number,
            "loan_id": "L1",
            "instalment_number": 1,
            "due_date": "2026-01-01",
            "scored_on": "2025-12-20",
            "features": [1.0] * len(FEATURE_NAMES),
            "forest_score": score,
            "online_score": 0.5,
            "blended_score": score,
            "forest_version": "f1",
            "online_version": online_version,
            "outcome": outcome,
        }
    )


def letter(number: int) -> FiledLetter:
    return FiledLetter(number, NOW, "too_late", "why", "t", 0, number, b"B1", b"personal", is_cut=False)


def test_counts_follow_the_newest_row_and_an_overtaken_one_changes_nothing() -> None:
    portfolio = Portfolio(10)
    portfolio.take_state(state("B1", 5, Strategy.SETTLEMENT, 7), 0)
    portfolio.take_state(state("B2", 0, Strategy.REMINDER, 3), 1)
    portfolio.take_state(state("B1", 0, Strategy.REMINDER, 9), 2)
    portfolio.take_state(state("B1", 95, Strategy.RECOVERY, 8), 3)
    assert portfolio.counts["current", Strategy.REMINDER] == portfolio.count() == 2
    assert portfolio.arrears_minor == 0
    portfolio.take_state(state("B2", 0, Strategy.NONE, 12, is_open=False), 4)
    assert (portfolio.count("closed"), portfolio.count(strategy=Strategy.NONE)) == (1, 1)
    place = portfolio.place("B1")
    assert place is not None
    assert (place.offset, place.applied_offset) == (2, 9)


def test_the_portfolio_keeps_no_more_borrowers_than_asked_and_says_so() -> None:
    portfolio = Portfolio(2)
    for name in ("B1", "B2", "B3"):
        portfolio.take_state(state(name, 0, Strategy.REMINDER, 1), 0)
    assert portfolio.count() == 2
    assert portfolio.is_full
    portfolio.take_state(state("B2", 1, Strategy.REMINDER, 2), 1)
    assert portfolio.count("1-29") == 1
    assert portfolio.ids_like("b", 1) == ["B1"]


def test_the_business_day_is_the_one_closed_everywhere() -> None:
    portfolio = Portfolio(1)
    for partition, day in ((0, 10), (1, 12), (0, 11), (0, 9)):
        portfolio.take_clock(PartitionClock(partition, day, 0))
    assert portfolio.business_day == 11


def test_a_series_keeps_its_bound_its_ends_and_its_order() -> None:
    series = Series(("x", "y"), most=8)
    for x in range(1000):
        series.add(x, x * x)
        columns = cast("dict[str, list[float]]", series.columns())
        assert len(columns["x"]) <= 9
        assert columns["x"] == sorted(columns["x"])
        assert columns["x"][0] == 0
        assert columns["x"][-1] == x
    gaps = np.diff(columns["x"][:-1]).tolist()
    assert set(gaps) == {gaps[0]}


def test_an_action_is_kept_once_and_the_oldest_goes_first() -> None:
    log = ActionLog(100)
    for number in (*range(150), 149, 120):
        log.take(numbered(number), numbered(number).published_at.timestamp() + 0.25)
    kept = [each.action_id for each in log.newest_first()]
    assert kept == [f"0-{number}" for number in range(149, 49, -1)]
    assert log.total == 150
    newest = numbered(149).published_at.timestamp()
    assert log.latency(50, newest) == pytest.approx(0.25, abs=1e-3)
    assert log.latency(50, newest + 3600) is None


def test_a_backlog_is_put_in_order() -> None:
    log = ActionLog(100)
    for number in (5, 1, 3):
        log.take(numbered(number), 0)
    log.in_order_of_decision()
    assert [each.action_id for each in log.newest_first()] == ["0-5", "0-3", "0-1"]


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (ActionFilter(), True),
        (ActionFilter(Strategy.RECOVERY), False),
        (ActionFilter(borrower="b-0"), True),
        (ActionFilter(borrower="x"), False),
        (ActionFilter(text="PAST DUE"), True),
        (ActionFilter(Strategy.SETTLEMENT, "B-0", "day_closed"), True),
        (ActionFilter(text="nothing of the kind"), False),
    ],
)
def test_filters(wanted: ActionFilter, matches: bool) -> None:
    assert wanted.takes(numbered(1, borrower_id="B-007")) is matches


def test_models_are_judged_on_outcomes_and_a_repeat_counts_once() -> None:
    quality = Quality()
    draw = np.random.default_rng(3)
    for number in range(400):
        outcome = bool(draw.random() < 0.3)
        given = 0.8 if outcome else 0.1
        for _ in range(2):
            quality.take_label(label(number, given, outcome=outcome, online_version=number // 200), number + 1)
    forest, online, _ = quality.measures()
    assert (forest["labels"], online["labels"]) == (400, 200)
    assert forest["auc"] == 1
    assert forest["log_loss"] < 0.25 < online["log_loss"] == pytest.approx(np.log(2))
    assert online["auc"] == 0.5
    columns = quality.series.columns()
    assert columns["labels"] == [100, 150, 200, 250, 300, 350, 400]
    assert columns["online_log_loss"][0] is None


def test_too_few_outcomes_give_no_measures() -> None:
    quality = Quality()
    quality.take_label(label(1, 0.2, outcome=True), 1)
    assert quality.measures()[0]["auc"] is None


def test_rates_and_lag_come_from_offsets() -> None:
    health = StreamHealth()
    assert health.rates == (0.0, 0.0)
    health.take_progress({0: 100, 1: 50}, GroupProgress("Stable", 2, {0: 90}), 10.0)
    health.take_progress({0: 140, 1: 70}, GroupProgress("Stable", 2, {0: 130, 1: 20}), 12.0)
    assert health.rates == (30.0, 30.0)
    assert health.lag == {0: 10, 1: 50}


def test_dead_letters_are_counted_and_only_the_newest_kept() -> None:
    health = StreamHealth()
    for number in range(300):
        health.take_dead_letter(letter(number))
    assert health.dead_letters == {"too_late": 300}
    assert len(health.newest_dead_letters) == 200
    assert health.newest_dead_letters[0].origin_offset == 299
    assert health.newest_dead_letters[0].value is None


def test_every_view_of_an_empty_and_of_a_full_board_is_json() -> None:
    board = Board.empty(Settings(), NOW)
    for _ in range(2):
        for shown in (
            views.overview(board, NOW),
            views.actions(board, NOW, ActionFilter()),
            views.models(board, NOW),
            views.stream(board, NOW),
        ):
            assert msgspec.json.decode(msgspec.json.encode(shown))["status"]["state"] == board.link.state
        board.portfolio.take_state(state("B1", 40, Strategy.RECOVERY, 1), 0)
        board.portfolio.take_clock(PartitionClock(0, NOW.toordinal(), 1))
        board.actions.take(numbered(1), numbered(1).published_at.timestamp())
        board.stream.take_progress({0: 5}, GroupProgress("Stable", 1, {0: 4}), NOW.timestamp())
        board.stream.take_dead_letter(letter(1))
        board.told_since = NOW
        board.set_link("live", NOW)
        board.sample(NOW.timestamp())
    overview = views.overview(board, NOW)
    assert overview["matrix"]["aggressive_recovery"]["30-59"] == overview["borrowers"] == 1
    assert overview["arrears"] == 40
    assert overview["status"]["business_date"] == "2026-01-02"
    assert views.stream(board, NOW)["partitions"] == [{"partition": 0, "end": 5, "committed": 4, "lag": 1}]


def test_the_link_keeps_the_time_of_its_state() -> None:
    board = Board.empty(Settings(), NOW)
    board.set_link("away", NOW)
    board.set_link("away", NOW + timedelta(minutes=5))
    assert board.link.since == NOW
    board.set_link("live", NOW + timedelta(minutes=6))
    assert board.link.since == NOW + timedelta(minutes=6)
