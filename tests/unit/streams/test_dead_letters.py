"""Dead letters: whatever was refused fits on their topic, and what is no dead letter there is told from one."""

import pytest

from streams.contracts.events import InvalidEventError, decode_event
from streams.contracts.records import DeadLetter, Record
from streams.contracts.topics import DEADLETTER, EVENTS, MAX_MESSAGE_BYTES
from streams.kafka.dead_letters import (
    FiledLetter,
    ForeignLetterError,
    RepairError,
    _addressed,
    dead_letter_message,
    filed_letter,
    is_receipt,
)
from tests.support.factories import opened, payment, tick
from tests.support.messages import message

GOOD = (
    ("riskmon-reason", b"invalid_event"),
    ("riskmon-detail", b"not JSON"),
    ("riskmon-topic", EVENTS.encode()),
    ("riskmon-partition", b"1"),
    ("riskmon-offset", b"7"),
)
WIDTHS = {EVENTS: 4, "riskmon.labels": 1}


def refused(key: bytes | None, value: bytes | None, detail: str = "not JSON") -> DeadLetter:
    return DeadLetter(Record(1, 2, key, value, 3), "invalid_event", detail)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, 2 * MAX_MESSAGE_BYTES),
        (17_000_000, None),
        (17_000_000, 17_000_000),
        (MAX_MESSAGE_BYTES // 2, MAX_MESSAGE_BYTES // 2),
        (17_000_000, 3),
    ],
)
@pytest.mark.parametrize("most", [16 << 20, 900 << 10, 0])
def test_a_message_no_topic_could_take_is_cut_and_says_so(key: int | None, value: int | None, most: int) -> None:
    letter = refused(None if key is None else b"k" * key, None if value is None else b"x" * value, "\u2028" * 900_000)
    sent = dead_letter_message(EVENTS, letter, min(most, MAX_MESSAGE_BYTES - (64 << 10)))
    assert sent.size <= max(min(most, MAX_MESSAGE_BYTES - (64 << 10)), 0) + 12_000
    headers = dict(sent.headers)
    for told, name, was in (
        (sent.key, "riskmon-key-cut-from-bytes", key),
        (sent.value, "riskmon-cut-from-bytes", value),
    ):
        is_whole = len(told or b"") == (was or 0)
        assert headers.get(name) == (None if is_whole else str(was).encode())
    assert (sent.value is None) == (value is None)
    assert filed_letter(message(DEADLETTER, sent.value, sent.key, sent.headers)).is_cut


def test_a_message_that_fits_stays_whole() -> None:
    sent = dead_letter_message(EVENTS, refused(b"B1", b"x" * 15_000_000))
    assert (sent.key, len(sent.value or b"")) == (b"B1", 15_000_000)
    assert not filed_letter(message(DEADLETTER, sent.value, sent.key, sent.headers)).is_cut


def test_the_reason_stays_short_whatever_the_message_holds() -> None:
    with pytest.raises(InvalidEventError, match="Extra inputs are not permitted") as refused:
        decode_event(b'{"type": "emi_missed", "' + b"n" * 900_000 + b'": 1}')
    assert len(str(refused.value)) < 3000


@pytest.mark.parametrize(
    "headers",
    [
        (),
        GOOD[:-1],
        (*GOOD[:-1], ("riskmon-offset", b"-1")),
        (*GOOD[:-1], ("riskmon-offset", b"9" * 5000)),
        (*GOOD[:-1], ("riskmon-offset", "\u0663".encode())),
        (*GOOD[:-1], ("riskmon-offset", b"")),
        (*GOOD[:-1], ("riskmon-offset", b"\xff\xfe")),
        (("riskmon-reason", None), *GOOD[2:]),
    ],
)
def test_a_message_that_is_no_dead_letter_is_told_from_one(headers: tuple[tuple[str, bytes], ...]) -> None:
    with pytest.raises(ForeignLetterError):
        filed_letter(message(DEADLETTER, b"hello", headers=headers))


@pytest.mark.parametrize("timestamp", [-1, 1_740_000_000_000_000, 2**62])
def test_a_time_stamp_beyond_all_years_is_bounded(timestamp: int) -> None:
    assert 1970 <= filed_letter(message(DEADLETTER, b"", headers=GOOD, timestamp=timestamp)).filed_at.year <= 9999


def test_only_a_receipt_is_a_receipt() -> None:
    assert is_receipt(message(DEADLETTER, None, headers=(("riskmon-replayed-offset", b"7"),)))
    assert not is_receipt(message(DEADLETTER, None, headers=GOOD))


def letter(
    value: bytes, key: bytes | None = b"B1", reason: str = "unknown_loan", topic: str = EVENTS, partition: int = 3
) -> FiledLetter:
    told = dict(GOOD) | {
        "riskmon-reason": reason.encode(),
        "riskmon-topic": topic.encode(),
        "riskmon-partition": str(partition).encode(),
    }
    return filed_letter(message(DEADLETTER, value, key, tuple(told.items())))


def as_it_is(value: bytes) -> bytes:
    return value


@pytest.mark.parametrize(
    "topic", ["riskmon.actions", "riskmon.models", "riskmon.deadletter", "riskmon-accounts-changelog", "payroll", ""]
)
def test_a_replay_writes_to_no_topic_but_riskmons_inputs(topic: str) -> None:
    with pytest.raises(RepairError, match=r"only riskmon\.events and riskmon\.labels"):
        _addressed(letter(opened().to_json(), topic=topic), as_it_is, WIDTHS)


def test_a_replay_does_not_run_the_repair_for_what_it_will_not_send() -> None:
    def never(_: bytes) -> bytes:
        raise AssertionError("the operator's command ran on a stranger's message")

    with pytest.raises(RepairError):
        _addressed(letter(b"", topic="payroll"), never, WIDTHS)


def test_a_replay_goes_back_to_its_own_partition() -> None:
    sent = _addressed(letter(payment(31).to_json()), as_it_is, WIDTHS)
    assert (sent.topic, sent.partition, sent.key) == (EVENTS, 3, b"B1")


@pytest.mark.parametrize(
    ("reason", "key"), [("wrong_partition", b"B1"), ("key_mismatch", b"B9"), ("invalid_event", b"B9")]
)
def test_where_partition_or_key_was_wrong_the_events_own_words_decide(reason: str, key: bytes) -> None:
    sent = _addressed(letter(payment(31).to_json(), key, reason), as_it_is, WIDTHS)
    assert (sent.partition, sent.key) == (None, b"B1")


def test_a_tick_goes_where_it_says_if_there_is_such_a_partition() -> None:
    named = _addressed(letter(tick(3, 2).to_json(), None, "wrong_partition"), as_it_is, WIDTHS)
    assert (named.partition, named.key) == (2, None)
    with pytest.raises(RepairError, match="for partition 9, but there are 4"):
        _addressed(letter(tick(3, 9).to_json(), None), as_it_is, WIDTHS)
    with pytest.raises(RepairError, match="there are 4 partitions"):
        _addressed(letter(payment(31).to_json(), partition=4), as_it_is, WIDTHS)


def test_a_label_that_is_still_none_stays() -> None:
    with pytest.raises(RepairError, match="no valid label"):
        _addressed(letter(b"no label", topic="riskmon.labels", partition=0), as_it_is, WIDTHS)
