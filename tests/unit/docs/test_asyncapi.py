"""The AsyncAPI document: current, valid, and true of what is sent."""

import json
import time
import zlib
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from docs.generate import asyncapi
from producers.faults import FaultConfig, FaultTally
from producers.publisher import simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.contracts.events import decode_event
from streams.contracts.labels import Label
from streams.contracts.records import DeadLetter, Record
from streams.decide import Rules
from streams.history.offline import number_offsets, run_offline
from streams.kafka.dead_letters import dead_letter_message
from streams.learner.state import LearnerState
from streams.score import ModelSet

# AsyncAPI's own schema of its documents, version 3.0.0, from the npm package @asyncapi/specs 6.11.1 (Apache-2.0),
# without its descriptions and examples.
SPECIFICATION = Path(__file__).parents[2] / "asyncapi" / "3.0.0.schema.json"


def test_the_document_is_current_and_valid() -> None:
    assert asyncapi.FILE.read_text() == asyncapi.to_json(), "written from the code: run `make docs`"
    Draft7Validator(json.loads(SPECIFICATION.read_text())).validate(asyncapi.document())


def test_the_validator_finds_a_fault() -> None:
    broken = asyncapi.document()
    broken["channels"]["events"]["messages"]["LoanOpened"] = {"payload": {"type": "no such type"}}
    assert not Draft7Validator(json.loads(SPECIFICATION.read_text())).is_valid(broken)


@cache
def _validator(message: str) -> Draft7Validator:
    document = asyncapi.document()
    return Draft7Validator(document | {"$ref": document["components"]["messages"][message]["payload"]["$ref"]})


def valid(message: str, value: bytes | str) -> bool:
    return _validator(message).is_valid(json.loads(value))


@pytest.fixture(scope="module")
def records() -> list[Record]:
    simulation = SimulationConfig(borrowers=60, days=150, seed=3, partitions=2)
    faults = FaultConfig(malformed=0.02)
    messages = simulated_records(simulation, faults, FaultTally())
    return list(number_offsets(messages, lambda key: zlib.crc32(key) % 2, int(time.time() * 1000)))


def test_events_actions_labels_and_snapshots_are_as_it_says(records: list[Record]) -> None:
    table: dict[str, bytes] = {}
    (result,) = run_offline(records, ModelSet(None), Rules(), table)
    refused = {dead.record for dead in result.dead_letters}
    events = [record.value or b"" for record in records if record not in refused]
    names = {type(decode_event(event)).__name__ for event in events}
    assert names == {"LoanOpened", "PaymentReceived", "EmiMissed", "PaymentReversed", "LoanClosed", "DayClosed"}
    assert all(valid(type(decode_event(event)).__name__, event) for event in events)
    sent = {"action": "Action", "label": "Label"}
    assert {outgoing.kind for _, outgoing in result.outgoing} == sent.keys()
    assert all(valid(sent[outgoing.kind], outgoing.value) for _, outgoing in result.outgoing)
    lesson = LearnerState()
    lesson.learn(Label.model_validate_json(next(o.value for _, o in result.outgoing if o.kind == "label")), 0)
    assert valid("ModelSnapshot", lesson.snapshot().model_dump_json())


def test_a_wrong_event_is_not(records: list[Record]) -> None:
    event = json.loads(next(r.value for r in records if r.value and b"payment_received" in r.value))
    assert valid("PaymentReceived", json.dumps(event))
    assert not valid("PaymentReceived", json.dumps(event | {"amuont": "1.00"}))
    assert not valid("PaymentReceived", json.dumps(event | {"channel": "pigeon"}))


def test_dead_letters_carry_the_headers_it_names() -> None:
    message = dead_letter_message("riskmon.events", DeadLetter(Record(3, 14, b"B1", b"{", 1), "invalid_event", "why"))
    headers = {name: value.decode() for name, value in message.headers}
    schema = asyncapi.document()["components"]["messages"]["DeadLetter"]["headers"]
    assert headers.keys() == schema["properties"].keys()
    Draft7Validator(schema).validate(headers)
