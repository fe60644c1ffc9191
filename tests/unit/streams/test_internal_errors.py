"""What nobody foresaw: one record or borrower is put aside, all others go on, whatever the batches are."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from producers.faults import FaultConfig, FaultTally
from streams.account.codec import OutboxEntry, decode_state, encode
from streams.contracts.feature_names import ROW_NAMES
from streams.contracts.records import Record
from streams.decide import Batch, Engine, RowUnreadableError, Rules
from streams.score import ModelSet, Scores
from tests.support.engine import NOW, Run, in_batches, records_of, simulated
from tests.support.factories import opened, payment, tick

SECRET = "3000.00"
_INCOME = ROW_NAMES.index("monthly_income")


class FragileModels(ModelSet):
    """Models with a fault that one borrower's income brings out, in scoring or only in explaining."""

    def break_for(self, income: float, *, explaining: bool = False) -> "FragileModels":
        """The same, breaking for that income."""
        object.__setattr__(self, "broken", (income, explaining))
        return self

    def score(self, rows: Sequence[tuple[float, ...]]) -> Scores:
        """Raises for that borrower."""
        self._refuse(rows, explaining=False)
        return super().score(rows)

    def contributions(self, rows: Sequence[tuple[float, ...]]) -> tuple[float, list[list[float]]]:
        """Raises for that borrower."""
        self._refuse(rows, explaining=True)
        return super().contributions(rows)

    def _refuse(self, rows: Sequence[tuple[float, ...]], *, explaining: bool) -> None:
        income, where = self.broken  # type: ignore[attr-defined]
        if where is explaining and any(row[_INCOME] == income for row in rows):
            raise LookupError(f"no bin for the income {income} of {SECRET}")


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return simulated(FaultConfig(duplicates=0.05, disorder=0.05, malformed=0.03), FaultTally())


@pytest.fixture(scope="module")
def sound(book: ModelSet, records: list[Record]) -> Run:
    run = Run(book)
    run.take(records)
    return run


def victim_of(sound: Run) -> tuple[str, float]:
    """A borrower whose strategy changes, and the income by which a fault finds nobody else."""
    for borrower_id in sound.states():
        if any(entry.kind == "action" for entry in outbox(sound, borrower_id)):
            return borrower_id, decode_state(sound.table[borrower_id]).account.loans[0].monthly_income / 100
    raise AssertionError("no strategy changes")


def outbox(run: Run, borrower_id: str) -> tuple[OutboxEntry, ...]:
    return decode_state(run.table[borrower_id]).outbox


@pytest.mark.parametrize("explaining", [False, True])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_fault_in_the_models_costs_one_borrower_and_no_other(
    book: ModelSet, records: list[Record], sound: Run, size: int, explaining: bool
) -> None:
    victim, income = victim_of(sound)
    fragile = FragileModels(book.forest, book.segmenter).break_for(income, explaining=explaining)
    run, whole = Run(fragile), Run(fragile)
    whole.take(records)
    for batch in in_batches(records, size):
        run.take(batch)
    assert run.states() == whole.states()
    assert sorted(run.sent) == sorted(whole.sent)
    assert sorted(run.refused, key=repr) == sorted(whole.refused, key=repr)
    others = {key: state for key, state in sound.states().items() if key != victim}
    assert {key: state for key, state in run.states().items() if key != victim} == others
    internal = [letter for letter in run.refused if letter[3] == "internal_error"]
    assert {key for _, _, key, _, _ in internal} == {victim.encode()}
    assert set(run.refused) - set(internal) - set(sound.refused) <= {
        letter for letter in run.refused if letter[2] == victim.encode()
    }


def test_the_trace_says_where_and_repeats_no_value(book: ModelSet) -> None:
    run = Run(FragileModels(book.forest).break_for(3000))
    run.take(records_of(opened()))
    ((partition, offset, key, reason, detail),) = run.refused
    assert (partition, offset, key, reason) == (0, 0, b"B1", "internal_error")
    assert detail.startswith("LookupError at ")
    assert "streams/score.py:" in detail
    assert len(detail) <= 1000
    assert "3000" not in detail
    assert run.table == {}


def broken_row(run: Run, borrower_id: str) -> None:
    """A state that no event can lead to."""
    state = decode_state(run.table[borrower_id])
    loans = tuple(replace(loan, emi=0) for loan in state.account.loans)
    run.table[borrower_id] = encode(replace(state, account=replace(state.account, loans=loans)))


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("recovers", [False, True])
def test_a_state_that_cannot_be_true_stops_neither_events_nor_ticks_nor_the_start(
    book: ModelSet, size: int, recovers: bool
) -> None:
    run = Run(book)
    run.take(records_of(opened(), opened("L2", "B2")))
    broken_row(run, "B1")
    before = run.table["B1"]
    other = payment(32).model_copy(update={"borrower_id": "B2", "loan_id": "L2"})
    if recovers:
        run.recover()
    for batch in in_batches(records_of(payment(31), other, tick(32), tick(33), tick(34), first=2), size):
        run.take(batch)
    assert run.table["B1"] == before
    assert decode_state(run.table["B2"]).account.loans[0].ledger
    assert [(offset, key) for _, offset, key, reason, _ in run.refused] == [
        (2, b"B1"),
        *((n, b"B1") for n in (4, 5, 6)),
    ]
    assert {reason for *_, reason, _ in run.refused} == {"internal_error"}


def test_what_was_put_aside_is_put_aside_again_after_a_crash(book: ModelSet) -> None:
    run = Run(book)
    run.take(records_of(opened(), opened("L2", "B2")))
    broken_row(run, "B1")
    batch = records_of(payment(31), tick(32), tick(33), first=2)
    lost = run.engine.process(batch, run.book, NOW)
    run.refuse(lost)
    first = list(run.refused)
    run.recover()
    run.take(batch)
    assert run.refused == first + first


@pytest.mark.parametrize("error", [OSError(5, "the disk is gone"), ValueError("any error of a store")])
def test_trouble_with_the_table_is_no_events_fault(book: ModelSet, error: Exception) -> None:
    def lookup(_: str) -> bytes:
        raise error

    batch = Batch(Engine(Rules(), lookup), records_of(opened()), book, NOW)
    with pytest.raises(RowUnreadableError) as raised:
        list(batch.steps())
    assert raised.value.__cause__ is error
    assert batch.result.dead_letters == []


def test_a_row_that_is_none_stops_the_batch(book: ModelSet) -> None:
    run = Run(book)
    run.table["B1"] = b"no row"
    with pytest.raises(RowUnreadableError):
        run.take(records_of(opened()))


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()])
def test_want_of_memory_and_ctrl_c_are_not_swallowed(book: ModelSet, error: BaseException) -> None:
    class Exhausted(ModelSet):
        def score(self, _rows: Sequence[tuple[float, ...]]) -> Scores:
            raise error

    with pytest.raises(type(error)):
        Run(Exhausted(book.forest)).take(records_of(opened()))
