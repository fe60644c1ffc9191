"""Rows of the table: what is written is read back, also by what an older version wrote."""

import msgspec
import pytest

from streams.account.codec import (
    BorrowerState,
    OutboxEntry,
    PartitionClock,
    applied_offset,
    decode_clock,
    decode_known,
    decode_state,
    encode,
)
from streams.account.decision_state import DecisionState
from tests.support.factories import account_of, opened, payment

STATE = BorrowerState(
    account_of(opened(), payment(31)), DecisionState(), 3, 17, (OutboxEntry("action", 17, b"B1", b"{}"),)
)


def test_a_row_is_read_back_whole_or_in_part() -> None:
    row = encode(STATE)
    assert decode_state(row) == STATE
    known = decode_known(row)
    assert (known.account, known.watch, known.partition, known.applied_offset) == (STATE.account, STATE.watch, 3, 17)
    assert applied_offset(row) == 17


def test_rows_of_an_older_version_are_read() -> None:
    account, watch, partition, offset, outbox = msgspec.msgpack.decode(encode(STATE))
    older = [loan[:-1] for loan in account[2]]
    row = msgspec.msgpack.encode([[account[0], account[1], older, account[3]], watch, partition, offset, outbox])
    assert decode_state(row) == STATE
    assert decode_clock(msgspec.msgpack.encode([1, 739000, 5])) == PartitionClock(1, 739000, 5)


@pytest.mark.parametrize("data", [b"", b"no row", b"\x93\x01\x02\x03"])
def test_foreign_bytes_are_no_state(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_state(data)
