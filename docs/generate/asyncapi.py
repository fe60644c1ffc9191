"""The topics as an AsyncAPI 3 document, made from the models.

`python -m docs.generate.asyncapi` writes docs/asyncapi.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from streams.config.settings import Settings
from streams.contracts.actions import Action
from streams.contracts.alerts import Alert
from streams.contracts.events import AccountEvent, DayClosed
from streams.contracts.labels import Label
from streams.contracts.refusals import RefusalReason
from streams.contracts.snapshots import ModelSnapshot
from streams.contracts.topics import ACTIONS, ALERTS, DEADLETTER, EVENTS, LABELS, MODELS, TopicSpec, topic_specs

FILE = Path(__file__).parents[1] / "asyncapi.json"
_ACCOUNT_EVENTS: tuple[type[BaseModel], ...] = get_args(AccountEvent)
_KEYS: dict[type[BaseModel], str] = {
    Action: "The borrower's id: a borrower's actions stand in order on one partition.",
    Label: "The borrower's id.",
    Alert: "The model or feature that drifted.",
    ModelSnapshot: "Always `online`: compaction keeps the newest snapshot.",
    **dict.fromkeys(_ACCOUNT_EVENTS, "The event's borrower_id. Another key is refused (key_mismatch)."),
}
_DEAD_LETTER_HEADERS: dict[str, dict[str, Any]] = {
    "riskmon-reason": {"description": "Why it was refused.", "enum": sorted(get_args(RefusalReason))},
    "riskmon-detail": {"description": "The reason in a sentence for people."},
    "riskmon-topic": {"description": "The topic it came from."},
    "riskmon-partition": {"description": "The partition it came from, in decimal.", "pattern": "^[0-9]+$"},
    "riskmon-offset": {"description": "Its offset there, in decimal.", "pattern": "^[0-9]+$"},
    "riskmon-timestamp-ms": {
        "description": "Kafka's timestamp of it, milliseconds since 1970 UTC, in decimal.",
        "pattern": "^[0-9]+$",
    },
}


def document() -> dict[str, Any]:
    """The whole document. Its schemas are draft 07, which is what AsyncAPI's own Schema Object extends."""
    models: list[type[BaseModel]] = [*_ACCOUNT_EVENTS, DayClosed, Action, Label, ModelSnapshot, Alert]
    _, schemas = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )
    specs = {spec.name: spec for spec in topic_specs("riskmon", Settings.model_fields["partitions"].default)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "riskmon",
            "version": "1",
            "description": "Borrower events in, recovery strategy changes out. Money is a decimal string, time is UTC.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "events": _channel(specs[EVENTS], "What borrowers and loans do.", [*_ACCOUNT_EVENTS, DayClosed]),
            "actions": _channel(
                specs[ACTIONS],
                "Strategy changes. After a crash one may be repeated with the same action_id; keep the ids handled.",
                [Action],
            ),
            "labels": _channel(specs[LABELS], "Predictions whose outcome became known, for the learner.", [Label]),
            "models": _channel(specs[MODELS], "The online models, at most once a second.", [ModelSnapshot]),
            "alerts": _channel(
                specs[ALERTS], "Drift. After a crash one may be repeated with the same alert_id.", [Alert]
            ),
            "deadletter": _channel(specs[DEADLETTER], "Messages that cannot be processed, as they came.", []),
        },
        "operations": {
            "takeEvents": _operation("receive", "events", "A worker applies them to the borrowers' state."),
            "sendActions": _operation("send", "actions", "A worker publishes a borrower's new strategy."),
            "sendLabels": _operation("send", "labels", "A worker publishes outcomes."),
            "takeLabels": _operation("receive", "labels", "The learner learns from them."),
            "sendModels": _operation("send", "models", "The learner publishes what it has learnt."),
            "sendAlerts": _operation("send", "alerts", "The learner tells of a drift it found."),
            "takeModels": _operation("receive", "models", "Workers score with the newest one."),
            "sendDeadLetters": _operation("send", "deadletter", "Workers and learner put aside what they cannot use."),
        },
        "components": {
            "schemas": {name: _draft_07(schema) for name, schema in schemas["$defs"].items()},
            "messages": {**{model.__name__: _message(model) for model in models}, "DeadLetter": _dead_letter()},
        },
    }


def _channel(topic: TopicSpec, description: str, models: list[type[BaseModel]]) -> dict[str, Any]:
    names = [model.__name__ for model in models] or ["DeadLetter"]
    configuration = {name: _configured(name, value) for name, value in topic.config.items()}
    return {
        "address": topic.name,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                **({"topicConfiguration": configuration} if configuration else {}),
                "bindingVersion": "0.5.0",
            }
        },
    }


def _configured(name: str, value: str) -> object:
    if value.isdigit():
        return int(value)
    return [value] if name == "cleanup.policy" else value


def _operation(action: str, channel: str, summary: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _message(model: type[BaseModel]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": model.__name__,
        "summary": (model.__doc__ or "").splitlines()[0],
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
    }
    # A day_closed has no key: one stands on every partition.
    if model in _KEYS:
        key = {"type": "string", "description": _KEYS[model]}
        message["bindings"] = {"kafka": {"key": key, "bindingVersion": "0.5.0"}}
    return message


def _dead_letter() -> dict[str, Any]:
    return {
        "name": "DeadLetter",
        "summary": "The original bytes under the original key; why and where from in the headers, as UTF-8.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "required": list(_DEAD_LETTER_HEADERS),
            "properties": {name: {"type": "string", **rest} for name, rest in _DEAD_LETTER_HEADERS.items()},
        },
        "payload": {"description": "Any bytes, also none."},
    }


def _draft_07(schema: Any) -> Any:
    """Pydantic writes draft 2020-12; of its news over draft 07 the contracts use only `prefixItems`."""
    if isinstance(schema, list):
        return [_draft_07(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {"items" if name == "prefixItems" else name: _draft_07(value) for name, value in schema.items()}


def to_json() -> str:
    """The file's content."""
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(to_json())
