"""Shared words: what is counted by them is counted once."""

from streams.account.standing import delinquency_bucket
from streams.contracts.vocabulary import BUCKETS, CLOSED, Strategy
from streams.strategy import SEVERITY


def test_the_buckets_are_those_that_the_rule_gives_and_closed() -> None:
    assert (*dict.fromkeys(delinquency_bucket(days) for days in range(400)), CLOSED) == BUCKETS


def test_every_strategy_has_its_place_in_the_order() -> None:
    assert sorted(Strategy, key=SEVERITY.__getitem__) == list(Strategy)
