"""A borrower as plain JSON values."""

import json
from dataclasses import replace

from streams.contracts.records import Record
from streams.history.describe import describe
from streams.history.retell import retell
from tests.support.factories import opened
from tests.support.history import RULES, history_of


def test_days_past_due_grow_day_by_day_and_money_is_a_decimal_string() -> None:
    told = describe(history_of("B1"), RULES.account)
    assert json.loads(json.dumps(told)) == told
    assert (told["days_past_due"], told["delinquency_bucket"], told["arrears"]) == (43, "30-59", "1000.00")
    assert [point["days_past_due"] for point in told["days"][-3:]] == [41, 42, 43]
    assert {score["source"] for score in told["scores"]} == {"action", "prediction", "state"}


def test_no_profile_is_shown() -> None:
    text = json.dumps(describe(history_of("B1"), RULES.account))
    for personal in ("gender", "female", "age", "dependents", "income", "3000"):
        assert f'"{personal}' not in text


def test_a_time_stamp_in_microseconds_is_shown_and_stops_nothing() -> None:
    history = history_of("B1")
    odd = Record(0, 99, b"B1", opened("L2").to_json(), 1_780_000_000_000_000)
    told = describe(replace(history, timeline=retell("B1", [odd], None, RULES)), RULES.account)
    assert told["events"][0]["published_at"].startswith("2999-12-31")
    assert told["events"][0]["fate"] == "bad_timestamp"
