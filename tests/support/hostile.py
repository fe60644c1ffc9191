"""Messages that nobody should send, and somebody will."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.factories import BOOK_EVENTS, closed, day, missed, opened, payment, reversal, tick

GOOD = [
    json.loads(event.to_json())
    for event in (
        opened(),
        payment(31),
        missed(1, day(31), 35),
        reversal(payment(31), 33),
        closed(50),
        tick(3),
        *BOOK_EVENTS,
    )
]
FIELDS = sorted({name for body in GOOD for name in body} | {"profile", "terms", "emi", "surprise"})
ODD_STRINGS = st.sampled_from(
    [
        "NaN",
        "Infinity",
        "-1",
        "1e400",
        "9" * 400,
        "\u0000",
        "x" * 3_000,
        "0001-01-01",
        "9999-12-31",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2025-02-30T00:00:00Z",
        "day_closed",
        "loan_opened",
        "L1",
        "B1",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | ODD_STRINGS
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A good event with fields replaced, dropped or nested, or cut short."""
    body = json.loads(json.dumps(draw(st.sampled_from(GOOD))))
    for _ in range(draw(st.integers(0, 2))):
        target = body
        name = draw(st.sampled_from(FIELDS))
        if draw(st.booleans()) and isinstance(body.get("terms"), dict) and body["terms"]:
            target = body["terms"]
            name = draw(st.sampled_from(sorted(target)))
        target[name] = draw(JSON_VALUES)
    message = json.dumps(body).encode()
    return message[: draw(st.integers(0, len(message)))] if draw(st.integers(0, 9)) == 0 else message


MESSAGES = spoilt() | spoilt() | st.binary(max_size=60) | JSON_VALUES.map(lambda value: json.dumps(value).encode())
KEYED_MESSAGES = st.tuples(st.sampled_from([b"B1", b"B2", None, b"\xff"]), MESSAGES)
POISON = [
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"x" * 1_000_000,
    json.dumps(GOOD[1] | {"event_id": "x" * 500_000}).encode(),
    json.dumps(GOOD[1] | {"amount": 10**400}).encode(),
    json.dumps(GOOD[1] | {"occurred_at": "9999-12-31T23:59:59-23:59"}).encode(),
    json.dumps(GOOD[1] | {"occurred_at": "0001-01-01T00:00:00+23:59"}).encode(),
    json.dumps(GOOD[0] | {"terms": GOOD[0]["terms"] | {"first_due_date": "9999-12-01"}}).encode(),
    json.dumps(GOOD[3] | {"payment_value_date": "9999-12-01"}).encode(),
]


def hostile_messages(count: int) -> list[tuple[bytes | None, bytes]]:
    """At least that many keyed messages, the same at every call."""
    found: list[tuple[bytes | None, bytes]] = []

    @settings(
        max_examples=-(-count // 50),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(KEYED_MESSAGES, min_size=50, max_size=60))
    def collect(batch: list[tuple[bytes | None, bytes]]) -> None:
        found.extend(batch)

    collect()
    return found
