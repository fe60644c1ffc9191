"""The model on disk: the same model comes back, and one that is damaged, foreign or unsound is refused by name."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as read_arrays
from safetensors.numpy import save as write_arrays

from models.serving import store
from models.serving.store import Model, ModelError
from models.serving.targets import Target
from streams.contracts.feature_names import NOTEBOOK_FEATURES
from tests.support.forests import WIDTH, rows, small_model

MODEL = small_model()
ROWS = rows()
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store.save(MODEL, {}, str, tmp_path)
    return tmp_path


def rewrite_card(folder: Path, change: Change) -> None:
    """Change a saved card, with a digest that fits again: damage that only a check of the content can find."""
    path = folder / "model.json"
    card = json.loads(path.read_text())
    change(card)
    card["card_sha256"] = ""
    card["card_sha256"] = hashlib.sha256(indented(card)).hexdigest()
    path.write_bytes(indented(card))


def indented(card: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(card), indent=2)


def rewrite_arrays(folder: Path, change: Change) -> None:
    """Change the saved arrays, and all digests with them."""
    card = json.loads((folder / "model.json").read_text())
    old = folder / f"forest-{card['arrays_sha256'][:12]}.safetensors"
    arrays = {name: values.copy() for name, values in read_arrays(old.read_bytes()).items()}
    change(arrays)
    replace_arrays(folder, write_arrays(arrays))


def replace_arrays(folder: Path, data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    (folder / f"forest-{digest[:12]}.safetensors").write_bytes(data)
    rewrite_card(folder, lambda card: card.update(arrays_sha256=digest))


def test_a_stored_model_scores_as_before_and_has_the_same_bytes(tmp_path: Path) -> None:
    digest = store.save(MODEL, {"auc": 0.9}, "pinned by {}".format, tmp_path / "one")
    loaded = store.load(tmp_path / "one", digest)
    assert (loaded.forest.predict(ROWS) == MODEL.forest.predict(ROWS)).all()
    assert loaded.segmenter.assign(ROWS) == MODEL.segmenter.assign(ROWS)
    assert loaded.target is Target.NOTEBOOK
    assert digest == hashlib.sha256((tmp_path / "one" / "model.json").read_bytes()).hexdigest()
    assert digest == store.digest(tmp_path / "one") == store.save(MODEL, {"auc": 0.9}, str, tmp_path / "two")
    assert (tmp_path / "one" / "MODEL_CARD.md").read_text() == f"pinned by {digest}"
    again = store.save(Model(loaded.forest, loaded.segmenter, loaded.target), {"auc": 0.9}, str, tmp_path / "three")
    assert again == digest


def test_another_model_than_the_pinned_one_is_refused_naming_both_digests(folder: Path) -> None:
    pinned = store.digest(folder)
    rewrite_card(folder, lambda card: card["calibration"].update(intercept=-2.5))
    assert store.load(folder).forest.calibration.intercept == -2.5
    with pytest.raises(ModelError, match=f"(?s){store.digest(folder)}.*RISKMON_MODEL_SHA256.*{pinned}"):
        store.load(folder, pinned)


@pytest.mark.parametrize("name", ["arrays", "card"])
def test_a_tampered_model_is_refused(folder: Path, name: str) -> None:
    if name == "arrays":
        path = next(folder.glob("*.safetensors"))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path = folder / "model.json"
        card = json.loads(path.read_text())
        card["segments"]["centres"][0][0] = 9.0
        path.write_text(json.dumps(card))
    with pytest.raises(ModelError, match="digest"):
        store.load(folder)


@pytest.mark.parametrize("change", ["name", "unit", "order"])
def test_other_features_other_units_and_another_order_are_refused(folder: Path, change: str) -> None:
    features = [feature._asdict() for feature in NOTEBOOK_FEATURES]
    if change == "order":
        features.reverse()
    else:
        features[3][change] = "something else"
    rewrite_card(folder, lambda card: card.update(features=features))
    with pytest.raises(ModelError, match="other features"):
        store.load(folder)


@pytest.mark.parametrize("older", [1, 2])
def test_an_older_format_asks_for_a_new_training(folder: Path, older: int) -> None:
    (folder / "model.json").write_text(json.dumps({"format": older, "arrays_file": "forest.npz"}))
    with pytest.raises(ModelError, match=f"format {older}.*train again"):
        store.load(folder)


def test_what_is_missing_or_cannot_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none/model.json is missing: train a forest first"):
        store.load(tmp_path / "none")
    next(folder.glob("*.safetensors")).unlink()
    with pytest.raises(ModelError, match=r"safetensors is missing"):
        store.load(folder)
    (folder / "model.json").unlink()
    (folder / "model.json").mkdir()
    with pytest.raises(ModelError, match="cannot be read"):
        store.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card["calibration"].update(slope=0.0), "calibration: the slope is 0"),
        (lambda card: card["calibration"].update(slope=-1.0), "calibration: the slope is -1"),
        (lambda card: card["calibration"].update(intercept=1e300), "calibration: the intercept is 1e"),
        (lambda card: card["calibration"].update(slope="steep"), r"calibration\.slope"),
        (lambda card: card["segments"].update(scales=[0.0] * WIDTH), "scales has a value below"),
        (lambda card: card["segments"].update(means=[0.0]), "means has shape"),
        (lambda card: card["segments"].update(centres=[[1.0], [1.0, 2.0]]), "segments in .* are damaged"),
        (lambda card: card["segments"].update(centres=[], names=[]), "centres has shape"),
        (lambda card: card["segments"].update(names=["balanced"] * 2), "names"),
        (lambda card: card["segments"]["centres"][0].__setitem__(0, 1e300), "centres has a value"),
        (lambda card: card.update(arrays_sha256="../../etc/passwd"), "missing"),
        (lambda card: card.update(surprise=1), "surprise"),
    ],
)
def test_a_crafted_card_is_refused_naming_the_field(folder: Path, change: Change, message: str) -> None:
    rewrite_card(folder, change)
    with pytest.raises(ModelError, match=message):
        store.load(folder)


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b"\xff", b'{"format": 3}', b"[" * 100_000, b"\x00" * 9]
)
def test_a_card_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        store.load(folder)


def put(name: str, at: int, value: float) -> Change:
    return lambda arrays: arrays[name].__setitem__(at, value)


def chain(arrays: dict[str, Any]) -> None:
    """One tree, each node the next one's parent: 100 levels deep."""
    arrays["roots"] = np.zeros(1, np.int32)
    nodes = arrays["left"].size
    arrays["left"][:100] = arrays["right"][:100] = np.arange(1, 101)
    assert nodes > 101


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("left", 0, 0), "its own child on one side only"),
        (put("left", 3, 1), "left: a node's child is not among"),
        (put("right", 0, -1), "right: a node's child is not among"),
        (put("right", 0, 2**31 - 1), "right: a node's child is not among"),
        (put("roots", 0, 10**6), "roots: points outside"),
        (put("roots", 0, -1), "roots: points outside"),
        (put("feature", 0, WIDTH), "feature: points outside"),
        (put("threshold", 0, np.nan), "threshold"),
        (put("threshold", 0, 1e300), "threshold"),
        (put("probability", 0, np.nan), "probability"),
        (put("probability", 0, 1.01), "probability"),
        (put("probability", 0, -np.inf), "probability"),
        (chain, "more than 64 levels deep"),
        (lambda arrays: arrays.update(roots=np.zeros(0, np.int32)), "roots: has type"),
        (lambda arrays: arrays.update(roots=np.zeros(5000, np.int32)), "roots: has type"),
        (lambda arrays: arrays.update(left=arrays["left"].astype(np.int64)), "left: has type int64"),
        (lambda arrays: arrays.update(feature=arrays["feature"][:-1]), "feature: has type"),
        (lambda arrays: arrays.update(threshold=arrays["threshold"][:, None]), "threshold: has type"),
        (lambda arrays: arrays.pop("probability"), "does not hold a forest's arrays"),
    ],
)
def test_a_crafted_forest_is_refused_naming_the_array(folder: Path, change: Change, message: str) -> None:
    rewrite_arrays(folder, change)
    with pytest.raises(ModelError, match=message):
        store.load(folder)


def test_a_model_that_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    broken = Model(MODEL.forest, small_model().segmenter, Target.NOTEBOOK)
    broken.segmenter.means[0] = np.nan
    with pytest.raises(ModelError, match="means"):
        store.save(broken, {}, str, tmp_path)
    assert list(tmp_path.iterdir()) == []


def loads_and_scores_or_refuses(folder: Path) -> None:
    """A clear refusal, or probabilities and reasons for every row, whatever the row."""
    try:
        model = store.load(folder)
    except ModelError:
        return
    extreme = np.concatenate([ROWS[:20], np.full((1, WIDTH), 1e15), np.full((1, WIDTH), -1e15), np.zeros((1, WIDTH))])
    scores = model.forest.predict(extreme)
    assert ((scores >= 0) & (scores <= 1)).all()
    base, parts = model.forest.contributions(extreme)
    assert base + parts.sum(axis=1) == pytest.approx(scores, abs=1e-6)
    assert len(model.segmenter.assign(extreme)) == len(extreme)


SIZES = {"roots": 5, **dict.fromkeys(("left", "right", "feature", "threshold", "probability"), MODEL.forest.left.size)}
whole = st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 60)
number = st.floats() | st.floats(-5, 5)
mutation = st.sampled_from(sorted(SIZES)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.integers(0, SIZES[name] - 1),
        number if name in ("threshold", "probability") else whole,
    )
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(mutation, min_size=1, max_size=4))
def test_a_forest_with_changed_numbers_is_refused_or_scores(
    folder: Path, changes: list[tuple[str, int, float]]
) -> None:
    store.save(MODEL, {}, str, folder)

    def change(arrays: dict[str, Any]) -> None:
        for name, at, value in changes:
            arrays[name][at] = value

    rewrite_arrays(folder, change)
    loads_and_scores_or_refuses(folder)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_arrays_with_changed_bytes_are_refused_or_score(folder: Path, data: st.DataObject) -> None:
    """The digests fit, as whoever writes the folder can make them fit."""
    store.save(MODEL, {}, str, folder)
    card = json.loads((folder / "model.json").read_text())
    content = bytearray((folder / f"forest-{card['arrays_sha256'][:12]}.safetensors").read_bytes())
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=5)):
        content[at] = byte
    replace_arrays(folder, bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))]))
    loads_and_scores_or_refuses(folder)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats() | st.floats(0, 1000), st.floats() | st.floats(-1000, 1000), st.lists(st.floats(), min_size=5))
def test_a_card_with_changed_numbers_is_refused_or_scores(
    folder: Path, slope: float, intercept: float, scales: list[float]
) -> None:
    store.save(MODEL, {}, str, folder)

    def change(card: dict[str, Any]) -> None:
        card["calibration"] = {"slope": slope, "intercept": intercept}
        card["segments"]["scales"] = scales[:5]

    rewrite_card(folder, change)
    loads_and_scores_or_refuses(folder)
