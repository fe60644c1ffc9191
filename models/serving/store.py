"""The model on disk: model.json, and the forest's arrays in a safetensors file that model.json names by its digest.

The SHA-256 of model.json therefore stands for the whole model. Compared with a digest from elsewhere
(`RISKMON_MODEL_SHA256`) it shows that nobody has put another model in its place.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as arrays_to_bytes

from models.serving.forest import Calibration, Forest
from models.serving.segments import Segmenter
from models.serving.soundness import forest_faults, segmenter_faults
from models.serving.targets import CONTRACTS, Target
from streams.contracts.vocabulary import Segment

CARD_TEXT = "MODEL_CARD.md"
_CARD = "model.json"
_FORMAT = 3
_MAX_BYTES = 2**30
_ARRAYS = ("roots", "left", "right", "feature", "threshold", "probability")
_SEGMENT_FEATURES = len(CONTRACTS[Target.NOTEBOOK])


class ModelError(ValueError):
    """A model that is missing, damaged, unsound or for other features; the text says which and what to do."""


@dataclass(frozen=True, eq=False)
class Model:
    """What a worker serves: a forest, the question that it answers, and the segments found in the same data."""

    forest: Forest
    segmenter: Segmenter
    target: Target


class _Feature(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    unit: str


class _Calibration(msgspec.Struct, forbid_unknown_fields=True):
    slope: float
    intercept: float


class _Segments(msgspec.Struct, forbid_unknown_fields=True):
    means: list[float]
    scales: list[float]
    centres: list[list[float]]
    names: list[Segment]


class _Card(msgspec.Struct, forbid_unknown_fields=True):
    """What model.json holds. `card_sha256` is the digest of the card in which it is empty."""

    format: int
    arrays_sha256: str
    target: Target
    features: list[_Feature]
    calibration: _Calibration
    segments: _Segments
    report: dict[str, Any]
    card_sha256: str = ""

    @property
    def version(self) -> str:
        """The start of the arrays' digest: same forest, same version."""
        return self.arrays_sha256[:12]

    @property
    def arrays_name(self) -> str:
        return f"forest-{self.version}.safetensors"


class _AnyFormat(msgspec.Struct):
    format: int


def exists(folder: Path) -> bool:
    """Whether a model was saved there."""
    return (folder / _CARD).exists()


def digest(folder: Path) -> str:
    """The SHA-256 of the folder's model.json, as `sha256sum` prints it and `RISKMON_MODEL_SHA256` takes it."""
    return _sha256(_read(folder / _CARD))


def save(model: Model, report: dict[str, Any], describe: Callable[[str], str], folder: Path) -> str:
    """Write the model and return its digest; `describe` makes the text of the model card from the digest.

    Same model and report, same bytes. Raises `ModelError` for a model that cannot be served.
    """
    forest = model.forest
    _require_sound(forest, model.segmenter, folder)
    arrays = arrays_to_bytes({name: getattr(forest, name) for name in _ARRAYS})
    card = _Card(
        format=_FORMAT,
        arrays_sha256=_sha256(arrays),
        target=model.target,
        features=_features(model.target),
        calibration=_Calibration(forest.calibration.slope, forest.calibration.intercept),
        segments=_Segments(**model.segmenter.to_json()),
        report=report,
    )
    card.card_sha256 = _sha256(_encoded(card))
    written = _encoded(card)
    found = _sha256(written)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / card.arrays_name, arrays)
    _write(folder / CARD_TEXT, describe(found).encode())
    # The card is written last: until it is there, the folder still holds the old model, whole.
    _write(folder / _CARD, written)
    return found


def load(folder: Path, pinned: str | None = None) -> Model:
    """Read a model; `pinned` is the digest that it must have.

    Raises `ModelError` unless the digests and the features' names, units and order agree, and the model is sound.
    """
    card = _load_card(folder / _CARD, pinned)
    if card.features != _features(card.target):
        raise ModelError(f"the forest in {folder} was trained on other features: train it again (`riskmon train`)")
    path = folder / card.arrays_name
    data = _read(path)
    if _sha256(data) != card.arrays_sha256:
        raise ModelError(f"{path} does not have the digest in {_CARD}: it is damaged or was tampered with")
    try:
        arrays = arrays_from_bytes(data)
        parts = {name: arrays[name] for name in _ARRAYS}
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path} does not hold a forest's arrays: {error}") from None
    forest = Forest(
        feature_names=tuple(feature.name for feature in card.features),
        calibration=Calibration(card.calibration.slope, card.calibration.intercept),
        version=card.version,
        **parts,
    )
    segmenter = _segmenter(card.segments, folder)
    _require_sound(forest, segmenter, folder)
    return Model(forest, segmenter, card.target)


def _load_card(path: Path, pinned: str | None) -> _Card:
    data = _read(path)
    if pinned is not None and _sha256(data) != pinned:
        raise ModelError(
            f"{path} has the SHA-256 {_sha256(data)}, but RISKMON_MODEL_SHA256 pins {pinned}: put the pinned model "
            "back, or pin this one if you know where it comes from"
        )
    try:
        found = msgspec.json.decode(data, type=_AnyFormat).format
        if found != _FORMAT:
            raise ModelError(
                f"{path} has format {found}, but this riskmon reads format {_FORMAT}: train again (`riskmon train`)"
            )
        card = msgspec.json.decode(data, type=_Card)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not a model's card, it is damaged: {error}") from None
    if card.card_sha256 != _sha256(_encoded(msgspec.structs.replace(card, card_sha256=""))):
        raise ModelError(f"{path} does not have the digest it names: it is damaged or was tampered with")
    return card


def _segmenter(segments: _Segments, folder: Path) -> Segmenter:
    try:
        return Segmenter.from_json(msgspec.structs.asdict(segments))
    except ValueError as error:
        raise ModelError(f"the segments in {folder} are damaged: {error}") from None


def _require_sound(forest: Forest, segmenter: Segmenter, folder: Path) -> None:
    # Numpy may warn of what a damaged model holds; the fault that is found says it better.
    with np.errstate(all="ignore"):
        fault = next(chain(segmenter_faults(segmenter, _SEGMENT_FEATURES), forest_faults(forest)), None)
    if fault is not None:
        raise ModelError(f"the model for {folder} cannot be served, train it again (`riskmon train`): {fault}")


def _features(target: Target) -> list[_Feature]:
    return [_Feature(feature.name, feature.unit) for feature in CONTRACTS[target]]


def _encoded(card: _Card) -> bytes:
    return msgspec.json.format(msgspec.json.encode(card), indent=2)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing: train a forest first (`riskmon train`)") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise ModelError(f"{path} has more than {_MAX_BYTES:,} bytes: it is not a model of riskmon")
    return data


def _write(path: Path, data: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(data)
    unfinished.replace(path)
