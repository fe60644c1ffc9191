"""Every row of a table is reached by its events."""

import re
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from producers.faults import OutgoingRecord
from producers.tables.check import BORROWER_COLUMNS
from producers.tables.replay import plan_replay
from streams.account.codec import decode_state
from streams.account.rules import AccountRules
from streams.account.standing import position
from streams.command import publish
from streams.contracts.events import DayClosed, decode_event
from streams.decide import Rules
from streams.evolve import apply, close_day
from streams.history.offline import number_offsets, run_offline
from streams.score import ModelSet
from tests.support.tables import borrower_table


@pytest.mark.parametrize("grace", [0, 3, 10, 22, 30])
@pytest.mark.parametrize("as_of", [date(2025, 6, 17), date(2025, 3, 31), date(2024, 2, 29)])
def test_state_equals_the_row(as_of: date, grace: int) -> None:
    frame = borrower_table(120, as_of.day, grace)
    rules = Rules(AccountRules(grace_days=grace))
    plan = plan_replay(frame, as_of, 1, grace)
    assert [fault for fault in plan.refused if "no monthly due date" not in fault.reason] == []
    assert len(plan.refused) < 10
    table: dict[str, bytes] = {}
    records = number_offsets(plan.records, lambda _: 0, int(time.time() * 1000))
    results = list(run_offline(records, ModelSet(None), rules, table))
    assert sum(len(result.dead_letters) for result in results) == 0
    refused = {fault.name for fault in plan.refused}
    for row in frame.to_dict("records"):
        if row["Borrower_ID"] in refused:
            continue
        account = decode_state(table[row["Borrower_ID"]]).account
        loan = account.loans[0]
        now = position(loan, account.as_of, rules.account)
        assert (now.days_past_due, now.missed) == (row["Days_Past_Due"], row["Num_Missed_Payments"]), row
        assert loan.principal == row["Loan_Amount"] * 100
        assert loan.emi == round(row["Monthly_EMI"] * 100)
        assert loan.tenure == row["Loan_Tenure"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Num_Missed_Payments": 0, "Days_Past_Due": 40}, "Days_Past_Due: 40, but Num_Missed_Payments is 0"),
        (
            {"Num_Missed_Payments": 30, "Loan_Tenure": 12},
            "Num_Missed_Payments: 30 missed of a loan with Loan_Tenure 12",
        ),
        ({"Num_Missed_Payments": 12, "Loan_Tenure": 12, "Days_Past_Due": 2}, "do not fit into Loan_Tenure 12"),
        (
            {"Loan_Tenure": 480, "Num_Missed_Payments": 2, "Days_Past_Due": 36_525},
            "Days_Past_Due, Loan_Tenure: 36525 and .* before 1900",
        ),
        ({"Age": 17}, "^Age: Input should be greater"),
        ({"Loan_Tenure": 481}, "^Loan_Tenure: Input should be less"),
        ({"Monthly_EMI": 0.0, "Num_Dependents": 21}, "^Num_Dependents: Input should be less"),
        ({"Monthly_EMI": 0.0}, "^Monthly_EMI: Input should be greater"),
        ({"Borrower_ID": "B" * 49}, "^Borrower_ID: longer than 48"),
        ({"Interest_Rate": 101}, "^Interest_Rate: "),
        ({"Monthly_EMI": 99_999_999_999.99}, "^Monthly_EMI, Loan_Tenure, Loan_Amount: all instalments together"),
        ({"Loan_Amount": 1}, "^Monthly_EMI, Loan_Tenure, Loan_Amount: .* 100 times the principal"),
    ],
)
def test_a_row_no_history_leads_to_is_refused_naming_row_and_column(change: dict[str, object], reason: str) -> None:
    frame = borrower_table(3, seed=1).set_axis([1, 2, 3])
    for name, value in change.items():
        frame[name] = [*frame[name][:1], value, *frame[name][2:]]
    (fault,) = plan_replay(frame, date(2025, 6, 17), 1, 3).refused
    assert fault.row == 2
    assert re.search(reason, fault.reason)


@pytest.mark.parametrize("as_of", [date(1, 1, 1), date(1900, 1, 1), date(9999, 12, 31)])
def test_no_day_ends_a_replay(as_of: date) -> None:
    plan = plan_replay(borrower_table(20, seed=1), as_of, 1, 3)
    assert {record.key for record in plan.records} | {fault.name.encode() for fault in plan.refused} > {b"BRW_1"}


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 36_525) | st.integers(0, 120),
    st.integers(0, 36_525) | st.integers(0, 12),
    st.integers(1, 60) | st.just(480),
    st.integers(0, 30),
    st.dates(date(1905, 1, 1), date(2100, 1, 1)),
)
def test_any_counts_lead_to_the_rows_state_or_a_refusal(
    dpd: int, missed: int, tenure: int, grace: int, as_of: date
) -> None:
    frame = borrower_table(1, seed=1).assign(Days_Past_Due=dpd, Num_Missed_Payments=missed, Loan_Tenure=tenure)
    plan = plan_replay(frame, as_of, 1, grace)
    if plan.refused:
        return
    rules = AccountRules(grace_days=grace)
    account = None
    for event in (decode_event(record.value) for record in plan.records[:-1]):
        assert not isinstance(event, DayClosed)
        assert event.occurred_at.date() <= as_of
        account = apply(event, account, rules)
    assert account is not None
    loan = close_day(account, as_of.toordinal(), rules).loans[0]
    now = position(loan, as_of.toordinal(), rules)
    assert (now.days_past_due, now.missed) == (dpd, missed)


CASES = {
    "brackets": (
        "BR[/01]7,47,Female,Salaried,3507.0,1,7150.0,12,13.08,0.0,638.89,999,34",
        "BR[/01]7: Num_Missed_Payments",
    ),
    "sentinel": (
        "B1,47,Female,Salaried,3507.0,1,7150.0,12,13.08,0.0,638.89,2,99999999999",
        "B1: Days_Past_Due: 99999999999",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_row_is_named_and_the_others_are_published(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka stays out of it: what is checked is which events would be sent, what is said, and the exit code."""
    bad, named = CASES[case]
    file = tmp_path / "table.csv"
    borrower_table(3, seed=1)[list(BORROWER_COLUMNS)].to_csv(file, index=False)
    file.write_text(file.read_text() + bad + "\n")
    sent: list[OutgoingRecord] = []
    monkeypatch.setattr(publish, "ready_topics", lambda _: 1)
    monkeypatch.setattr(publish, "_publish", lambda _settings, records, _rate: sent.extend(records))
    result = CliRunner().invoke(publish.app, ["replay", str(file), "--as-of", "2025-06-17"])
    assert result.exit_code == 1
    assert f"not replayed: row 4, {named}" in result.output
    assert "1 of 4 rows were not replayed" in result.output
    assert {record.key for record in sent} == {b"BRW_0", b"BRW_1", b"BRW_2", None}
    file.write_text("\n".join([*file.read_text().splitlines()[:1], bad]))
    assert CliRunner().invoke(publish.app, ["replay", str(file), "--as-of", "2025-06-17"]).exit_code == 1
    assert len(sent) == len({record.value for record in sent})
