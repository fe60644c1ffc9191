"""The oracle: what the stream left on its topics against the pure core in a plain loop over the events topic."""

from pathlib import Path

from models.serving import store
from streams.account.changelog import Claims, Verdict
from streams.account.codec import CLOCK_PREFIX, decode_state
from streams.contracts.actions import Action
from streams.contracts.records import DeadLetter
from streams.contracts.topics import ACTIONS, DEADLETTER, EVENTS, changelog_name
from streams.decide import Rules
from streams.history.offline import run_offline
from streams.kafka.admin import partitions_of
from streams.kafka.connection import Connection
from streams.kafka.placement import murmur2_placement
from streams.score import ModelSet
from tests.support.processes import read_all, read_messages


async def assert_as_uninterrupted(kafka: Connection, model: Path) -> tuple[dict[str, Action], list[DeadLetter]]:
    """Every state, action and dead letter is there, and nothing else; returns the actions by id and the refusals."""
    expected: dict[str, bytes] = {}
    served = store.load(model)
    book = ModelSet(served.forest, served.segmenter)
    place = murmur2_placement(len(await partitions_of(kafka, EVENTS)))
    results = list(run_offline(await read_all(kafka, EVENTS), book, Rules(), expected, place))
    await _assert_states(kafka, expected)
    sent = await _actions_by_id(kafka)
    decided = {action.action_id: _undated(action) for result in results for action in result.actions}
    assert sent.keys() == decided.keys()
    for name, action in sent.items():
        assert action == decided[name]
    refused = [letter for result in results for letter in result.dead_letters]
    assert await _dead_letter_origins(kafka) == {(each.record.partition, each.record.offset) for each in refused}
    return sent, refused


async def _assert_states(kafka: Connection, expected: dict[str, bytes]) -> None:
    rows = await rows_that_count(kafka)
    borrowers = {key for key in expected if not key.startswith(CLOCK_PREFIX)}
    assert {key for key in rows if not key.startswith(CLOCK_PREFIX)} == borrowers
    for key in borrowers:
        found, wanted = decode_state(rows[key]), decode_state(expected[key])
        assert (found.account, found.decision) == (wanted.account, wanted.decision)
        assert found.applied_offset == wanted.applied_offset


async def rows_that_count(kafka: Connection) -> dict[str, bytes]:
    """The newest row of each key that counts, as every reader of the changelog has it."""
    claims, rows = Claims(), dict[str, bytes]()
    for message in await read_messages(kafka, changelog_name("riskmon")):
        key, value = message.key, message.value
        if claims.judge(message.partition, message.offset, key, value, message.headers) is Verdict.COUNTS:
            rows.pop(key.decode(), None)
            if value is not None:
                rows[key.decode()] = value
    return rows


async def _actions_by_id(kafka: Connection) -> dict[str, Action]:
    sent: dict[str, Action] = {}
    for record in await read_all(kafka, ACTIONS):
        action = _undated(Action.model_validate_json(record.value or b""))
        assert sent.setdefault(action.action_id, action) == action
    return sent


def _undated(action: Action) -> Action:
    # The decision's own time differs from run to run; all else must not.
    return action.model_copy(update={"decided_at": action.occurred_at, "published_at": action.occurred_at})


async def _dead_letter_origins(kafka: Connection) -> set[tuple[int, int]]:
    origins = set()
    for message in await read_messages(kafka, DEADLETTER):
        headers = {name: value.decode() for name, value in message.headers}
        assert headers["riskmon-reason"]
        origins.add((int(headers["riskmon-partition"]), int(headers["riskmon-offset"])))
    return origins
