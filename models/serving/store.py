"""The model on disk: one file of arrays and one of JSON, each named by a digest that is checked before use."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.serving.forest import Calibration, Forest
from models.serving.segments import Segmenter
from models.serving.targets import CONTRACTS, Target

CARD_TEXT = "MODEL_CARD.md"
_FORMAT = 2
_ARRAYS = ("roots", "left", "right", "feature", "threshold", "probability")


class ModelError(ValueError):
    """A model file that is missing, damaged or for other features; the text says which and what to do."""


@dataclass(frozen=True, eq=False)
class Model:
    """What a worker serves: a forest, what it tells, and the segments found in the same data."""

    forest: Forest
    segmenter: Segmenter
    target: Target


def exists(folder: Path) -> bool:
    """Whether a model was saved there."""
    return (folder / "model.json").exists()


def save(model: Model, report: dict[str, Any], card_text: str, folder: Path) -> str:
    """Write the model; returns its version, the start of the arrays' digest. Same model, same bytes."""
    forest = model.forest
    folder.mkdir(parents=True, exist_ok=True)
    arrays = _arrays_to_bytes(forest)
    digest = hashlib.sha256(arrays).hexdigest()
    card = {
        "format": _FORMAT,
        "version": digest[:12],
        "arrays_file": f"forest-{digest[:12]}.npz",
        "arrays_sha256": digest,
        "target": model.target,
        "features": [feature._asdict() for feature in CONTRACTS[model.target]],
        "depth": forest.depth,
        "calibration": {"slope": forest.calibration.slope, "intercept": forest.calibration.intercept},
        "segments": model.segmenter.to_json(),
        "report": report,
    }
    card["card_sha256"] = _card_digest(card)
    _write(folder / str(card["arrays_file"]), arrays)
    _write(folder / CARD_TEXT, card_text.encode())
    # The card is written last: until it is there, the folder still holds the old model, whole.
    _write(folder / "model.json", json.dumps(card, indent=2).encode())
    return str(card["version"])


def load(folder: Path) -> Model:
    """Read a model. Raises `ModelError` unless both digests and the features' names, units and order agree."""
    card = _load_card(folder / "model.json")
    target = Target(card["target"])
    contract = CONTRACTS[target]
    if card["features"] != [feature._asdict() for feature in contract]:
        raise ModelError(f"the forest in {folder} was trained on other features: train it again (`riskmon train`)")
    path = folder / str(card["arrays_file"])
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path} is missing: train again (`riskmon train`)") from None
    if hashlib.sha256(data).hexdigest() != card["arrays_sha256"]:
        raise ModelError(f"{path} does not have the digest in model.json: it is damaged or was tampered with")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        parts = {name: arrays[name] for name in _ARRAYS}
    forest = Forest(
        feature_names=tuple(feature.name for feature in contract),
        depth=int(card["depth"]),
        calibration=Calibration(**card["calibration"]),
        version=str(card["version"]),
        **parts,
    )
    return Model(forest, Segmenter.from_json(card["segments"]), target)


def _load_card(path: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{path} is missing: train a forest first (`riskmon train`)") from None
    except ValueError:
        raise ModelError(f"{path} is not JSON: it is damaged") from None
    if not isinstance(card, dict) or card.get("card_sha256") != _card_digest(card):
        raise ModelError(f"{path} does not have the digest it names: it is damaged or was tampered with")
    if card["format"] != _FORMAT:
        raise ModelError(
            f"{path} has format {card['format']} (format 1 has no segments), but this riskmon reads {_FORMAT}: "
            "train again (`riskmon train`)"
        )
    return card


def _card_digest(card: dict[str, Any]) -> str:
    told = {name: value for name, value in card.items() if name != "card_sha256"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _arrays_to_bytes(forest: Forest) -> bytes:
    """An .npz with fixed time stamps, so that equal arrays are equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in _ARRAYS:
            part = io.BytesIO()
            np.lib.format.write_array(part, getattr(forest, name), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue())
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(data)
    unfinished.replace(path)
