"""The contracts as JSON Schema files, for those who produce events or consume actions in other languages.

`python -m docs.generate.schemas` writes them to docs/schemas; a test holds the files against the models.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from streams.contracts.actions import Action
from streams.contracts.alerts import Alert
from streams.contracts.events import EVENTS
from streams.contracts.labels import Label
from streams.contracts.snapshots import ModelSnapshot

FOLDER = Path(__file__).parents[1] / "schemas"
_CONTRACTS: dict[str, TypeAdapter[Any]] = {
    "event": EVENTS,
    "action": TypeAdapter(Action),
    "alert": TypeAdapter(Alert),
    "label": TypeAdapter(Label),
    "model-snapshot": TypeAdapter(ModelSnapshot),
}


def schema_files() -> dict[str, str]:
    """File name and content of every contract's schema (JSON Schema draft 2020-12)."""
    return {
        f"{name}.schema.json": json.dumps(adapter.json_schema(mode="serialization"), indent=2) + "\n"
        for name, adapter in _CONTRACTS.items()
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in schema_files().items():
        (FOLDER / name).write_text(content)
