"""Refusals: bounded codes, and a trace that repeats no value."""

from typing import get_args

from streams.contracts.refusals import EventRefusedError, RefusalReason, trace_of


def test_a_refusal_carries_its_code() -> None:
    error = EventRefusedError("bad_terms", "terms.emi: too much")
    assert error.reason in get_args(RefusalReason)
    assert str(error) == "terms.emi: too much"


def deep(levels: int) -> None:
    if levels:
        deep(levels - 1)
    raise ValueError("the borrower's income is 3000")


def test_a_trace_is_bounded_and_says_where() -> None:
    trace = ""
    try:
        deep(200)
    except ValueError as error:
        trace = trace_of(error)
    assert trace.startswith("ValueError at contracts/test_refusals.py:")
    assert trace.count(":deep") == 8
    assert "3000" not in trace
