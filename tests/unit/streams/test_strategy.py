import zlib

import pytest

from streams.account.codec import OutboxEntry
from streams.account.decision_state import Prediction
from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.labels import Label
from streams.contracts.vocabulary import Strategy
from streams.strategy import (
    Outcome,
    StrategyRules,
    action_id,
    label_json,
    message_of,
    next_strategy,
    packed,
    strategy_for,
)
from tests.support.factories import action

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


def test_no_two_actions_share_an_id() -> None:
    ids = {
        action_id(partition, offset, borrower)
        for partition in (0, 1, 256)
        for offset in (0, 1, 2**40)
        for borrower in ("B1", "1B1", "\x01B1", *(f"borrower-{number}" for number in range(5_000)))
    }
    assert len(ids) == 3 * 3 * 5_003


def test_an_id_is_the_same_on_every_machine_and_fits_the_contract() -> None:
    assert action_id(3, 1_234_567, "B1") == "cc7e4d2e217670fe208c6c5c5a38d346"
    assert action(action_id=action_id(2**31 - 1, 2**63 - 1, "x" * 64)).action_id


def test_borrowers_whose_checksums_collide_get_ids_of_their_own() -> None:
    first, second = "plumless", "buckeroo"
    assert zlib.crc32(first.encode()) == zlib.crc32(second.encode())
    assert action_id(0, 7, first) != action_id(0, 7, second)


def test_an_outcome_is_kept_packed_and_sent_as_its_label() -> None:
    prediction = Prediction(
        "L1", 2, 739_000, 738_980, 5, (0.5,) * len(FEATURE_NAMES), 0.1, 0.2, 0.3, "f", 4, {"m": 0.2}
    )
    outcome = Outcome(prediction, True)
    kept = OutboxEntry("outcome", 9, b"B1", packed(outcome))
    sent = message_of(3, kept)
    assert sent == OutboxEntry("label", 9, b"B1", label_json(outcome, "B1", 3, 9))
    label = Label.model_validate_json(sent.value)
    assert (label.borrower_id, label.origin_partition, label.origin_offset, label.outcome) == ("B1", 3, 9, True)
    action_entry = OutboxEntry("action", 9, b"B1", b"{}")
    assert message_of(3, action_entry) is action_entry
