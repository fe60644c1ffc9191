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
from streams.account.loan import Loan
from streams.account.standing import position
from streams.contracts.vocabulary import LoanStatus
from streams.evolve import apply, close_day
from tests.support.factories import RULES, account_of, closed, day, opened, payment, reversal

STATE = BorrowerState(
    account_of(opened(), payment(31)), DecisionState(), 3, 17, (OutboxEntry("action", 17, b"B1", b"{}"),)
)


def test_a_row_is_read_back_whole_or_in_part() -> None:
    row = encode(STATE)
    assert decode_state(row) == STATE
    known = decode_known(row)
    assert (known.account, known.decision, known.partition, known.applied_offset) == (
        STATE.account,
        STATE.decision,
        3,
        17,
    )
    assert applied_offset(row) == 17


def test_rows_of_an_older_version_are_read() -> None:
    account, decision, partition, offset, outbox = msgspec.msgpack.decode(encode(STATE))
    older = [loan[:-1] for loan in account[2]]
    row = msgspec.msgpack.encode([[account[0], account[1], older, account[3]], decision, partition, offset, outbox])
    assert decode_state(row) == STATE
    assert decode_clock(msgspec.msgpack.encode([1, 739000, 5])) == PartitionClock(1, 739000, 5)


@pytest.mark.parametrize("data", [b"", b"no row", b"\x93\x01\x02\x03"])
def test_foreign_bytes_are_no_state(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_state(data)


def test_a_loan_of_an_older_version_goes_on_under_todays_rules() -> None:
    """Written up to `folded_to`, in default and with a calendar of the account: it stays so, until money ends it."""
    fresh = account_of(opened())
    then = close_day(fresh, day(31 + 95).toordinal(), RULES)
    written = msgspec.msgpack.decode(encode(BorrowerState(then, DecisionState(), 0, 5)))
    fields = [field.name for field in msgspec.structs.fields(Loan)]
    written[0][2] = [loan[: fields.index("folded_to") + 1] for loan in written[0][2]]
    account = decode_state(msgspec.msgpack.encode(written)).account
    (loan,) = account.loans
    assert (loan.status, loan.worst_dpd, loan.as_of) == (LoanStatus.DEFAULT, 95, then.as_of)
    assert position(loan, loan.as_of, RULES) == position(then.loans[0], then.as_of, RULES)
    paid = apply(payment(31 + 96, 2500), account, RULES)
    assert paid.loans[0].status is LoanStatus.PROBATION
    assert paid.loans[0].worst_dpd == 95


def test_a_closed_loan_of_an_older_version_opens_again_when_its_payoff_bounces() -> None:
    payoff = payment(40, 6000)
    then = account_of(opened(), payoff, closed(41))
    written = msgspec.msgpack.decode(encode(BorrowerState(then, DecisionState(), 0, 5)))
    fields = [field.name for field in msgspec.structs.fields(Loan)]
    written[0][2] = [loan[: fields.index("folded_to") + 1] for loan in written[0][2]]
    account = decode_state(msgspec.msgpack.encode(written)).account
    assert account.loans[0].closed == "settled"
    assert apply(reversal(payoff, 50), account, RULES).loans[0].closed == ""
