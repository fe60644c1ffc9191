"""The contracts: what is refused, how it is told, and that the published schemas are current."""

import json

import pytest

from docs.generate.schemas import FOLDER, schema_files
from streams.contracts.events import InvalidEventError, decode_event
from tests.support.factories import BOOK_EVENTS, closed, day, missed, opened, payment, reversal, tick


def test_published_schemas_are_those_of_the_models() -> None:
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == schema_files()


@pytest.mark.parametrize(
    "event",
    [opened(), payment(31), missed(1, day(31), 35), reversal(payment(31), 33), closed(50), tick(3), *BOOK_EVENTS],
    ids=lambda event: event.event_id,
)
def test_events_survive_the_topic(event: object) -> None:
    assert decode_event(event.to_json()) == event  # type: ignore[attr-defined]


@pytest.mark.parametrize("amount", ["500", "500.0", 500, 5e2, "5e2"])
def test_money_is_written_with_two_places_however_it_came(amount: str | float) -> None:
    body = json.loads(payment(31).to_json()) | {"amount": amount}
    again = decode_event(json.dumps(body).encode())
    assert json.loads(again.to_json())["amount"] == "500.00"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"amount": "-5.00"}, "amount"),
        ({"amount": "5.001"}, "amount"),
        ({"amount": "Infinity"}, "amount"),
        ({"amount": 1e300}, "amount"),
        ({"amount": [0, [5, 0], 0]}, "amount"),
        ({"amount": ["x", 1, 2]}, "amount"),
        ({"amount": True}, "amount"),
        ({"type": "payment_promised"}, "type"),
        ({"occurred_at": "2025-01-01T00:00:00"}, "occurred_at"),
        ({"borrower_id": ""}, "borrower_id"),
        ({"borrower_id": "a b"}, "borrower_id"),
        ({"surprise": 1}, "surprise"),
        ({"schema_version": 2}, "schema_version"),
        ({"channel": None}, "channel"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], told: str) -> None:
    body = json.loads(payment(31).to_json()) | change
    with pytest.raises(InvalidEventError, match=told):
        decode_event(json.dumps(body).encode())


def test_a_refusal_repeats_no_personal_value() -> None:
    body = json.loads(opened().to_json())
    body["profile"]["monthly_income"] = "secret-income"
    with pytest.raises(InvalidEventError) as refusal:
        decode_event(json.dumps(body).encode())
    assert "monthly_income" in str(refusal.value)
    assert "secret-income" not in str(refusal.value)


@pytest.mark.parametrize("message", [b"", b"\xff\xfe", b"null", b"[]", b"{" * 5000, b'"text"', b"123"])
def test_what_is_no_event_is_refused(message: bytes) -> None:
    with pytest.raises(InvalidEventError):
        decode_event(message)
