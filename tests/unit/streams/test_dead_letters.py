import pytest

from streams.contracts.events import InvalidEventError, decode_event
from streams.contracts.records import DeadLetter, Record
from streams.contracts.topics import EVENTS, MAX_MESSAGE_BYTES
from streams.kafka.dead_letters import dead_letter_message


def test_a_message_no_topic_could_take_is_cut_and_says_so() -> None:
    size = 2 * MAX_MESSAGE_BYTES
    message = dead_letter_message(EVENTS, DeadLetter(Record(1, 2, None, b"x" * size, 3), "invalid_event", "not JSON"))
    assert message.value is not None
    assert 0 < MAX_MESSAGE_BYTES - len(message.value) < 100_000
    assert dict(message.headers)["riskmon-cut-from-bytes"] == str(size).encode()


def test_the_reason_stays_short_whatever_the_message_holds() -> None:
    with pytest.raises(InvalidEventError, match="Extra inputs are not permitted") as refused:
        decode_event(b'{"type": "emi_missed", "' + b"n" * 900_000 + b'": 1}')
    assert len(str(refused.value)) < 3000
