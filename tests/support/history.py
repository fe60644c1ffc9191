"""A borrower's past for the tests: the records that are read for one, and a short life."""

from datetime import UTC, datetime

from streams.account.codec import CLOCK_PREFIX, BorrowerState, decode_state
from streams.contracts.records import Record
from streams.decide import Rules
from streams.history.offline import number_offsets, run_offline
from streams.history.read import BorrowerHistory
from streams.history.retell import retell
from streams.score import ModelSet
from tests.support.factories import START, action, opened, tick

RULES = Rules()


def borrower_records(records: list[Record], state: BorrowerState) -> list[Record]:
    """What `read_history` finds: the borrower's own records and its partition's ticks."""
    key = state.account.borrower_id.encode()
    return [each for each in records if each.partition == state.partition and each.key in (key, None)]


def states_after(records: list[Record]) -> dict[str, BorrowerState]:
    table: dict[str, bytes] = {}
    assert list(run_offline(records, ModelSet(None), RULES, table))
    return {key: decode_state(row) for key, row in table.items() if not key.startswith(CLOCK_PREFIX)}


def stamp(at: int) -> int:
    """Kafka's time stamp, so many days after the sixtieth."""
    return int(datetime(START.year, START.month, START.day, tzinfo=UTC).timestamp() + 86_400 * (60 + at)) * 1000


def history_of(borrower_id: str) -> BorrowerHistory:
    """An unpaid loan of a borrower, 40 days on, with a decision on it."""
    key = borrower_id.encode()
    messages: list[tuple[int | None, bytes | None, bytes]]
    messages = [(None, key, opened(borrower=borrower_id).to_json())]
    messages += [(0, None, tick(offset).to_json()) for offset in range(1, 75)]
    records = list(number_offsets(messages, lambda _: 0, stamp(40)))
    state = states_after(records)[borrower_id]
    reason = {"feature": "days_past_due", "value": 9, "contribution": 0.2, "text": "9 [bold]days[/] past due"}
    decided = action(borrower_id=borrower_id, reasons=[reason])
    timeline = retell(borrower_id, borrower_records(records, state), None, RULES)
    return BorrowerHistory(state, [state], timeline, None, [decided], [])
