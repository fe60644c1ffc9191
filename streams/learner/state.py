"""What the learner knows, pure: labels in, better models, a champion, and alerts of drift out."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from models.online.blend import online_share
from models.online.champion import choose_champion
from models.online.drift import Drift, FeatureDrift, LossDrift
from models.online.model import OnlineModel
from models.online.scoreboard import Quality, Scoreboard
from models.serving.blend import FOREST
from models.serving.contenders import RECIPES
from models.serving.linear import SnapshotError
from streams.contracts.alerts import Alert
from streams.contracts.feature_names import FEATURE_NAMES
from streams.contracts.labels import Label, LabelOrder
from streams.contracts.snapshots import FeatureDriftSnapshot, ModelSnapshot, ReferenceRows

BLEND = "blend"
JUDGED = (FOREST, BLEND, *(recipe.name for recipe in RECIPES))
ELIGIBLE = tuple(recipe.name for recipe in RECIPES if recipe.eligible)
_CHOOSE_EVERY = 50
_REFERENCE_ROWS = 100
# How long ago the last payment was, and how long until the next, follows the calendar: a month of 31 days has one more
# day on which a loan is scored than one of 30. Their stability index would tell the months apart.
_OF_THE_CALENDAR = ("days_since_payment", "days_to_next_due")
MONITORED = tuple(name for name in FEATURE_NAMES if name not in _OF_THE_CALENDAR)


class Learnt(NamedTuple):
    """What one label brought: whether it was new, the drifts it showed, the champion it dethroned."""

    is_new: bool
    alerts: tuple[Alert, ...] = ()
    dethroned: str | None = None


class LearnerState:
    """The contenders, the record of their predictions, and how far in the labels they are.

    Raises `SnapshotError` if the snapshot does not fit the recipes of this riskmon.
    """

    def __init__(self, snapshot: ModelSnapshot | None = None) -> None:
        known = snapshot.contenders if snapshot else {}
        self._models = {
            recipe.name: (
                OnlineModel.from_snapshot(recipe, FEATURE_NAMES, known[recipe.name])
                if recipe.name in known
                else OnlineModel(recipe, FEATURE_NAMES)
            )
            for recipe in RECIPES
        }
        self.labels_learnt = snapshot.labels_learnt if snapshot else 0
        self.champion = snapshot.champion if snapshot and snapshot.champion in self._models else RECIPES[0].name
        self.next_offset = snapshot.next_label_offset if snapshot else 0
        self._record = Scoreboard(JUDGED, snapshot.record if snapshot else None)
        self._loss_drift = LossDrift(JUDGED, self._record, snapshot.loss_fed if snapshot else None)
        self._feature_drift = FeatureDrift(MONITORED, _checked(snapshot.feature_drift) if snapshot else None)
        self._learnt_to: dict[int, LabelOrder] = dict(snapshot.learnt_to) if snapshot else {}
        known_rows = zip(snapshot.reference.rows, snapshot.reference.forest_scores, strict=True) if snapshot else ()
        self._reference: deque[tuple[tuple[float, ...], float]] = deque(known_rows, maxlen=_REFERENCE_ROWS)

    def learn(self, label: Label, offset: int) -> Learnt:
        """Judge the predictions made at the time, then learn; a repeated label changes nothing."""
        self.next_offset = offset + 1
        last = self._learnt_to.get(label.origin_partition)
        if last is not None and label.order <= last:
            return Learnt(False)
        self._learnt_to[label.origin_partition] = label.order
        self._record.add({FOREST: label.forest_score, BLEND: label.blended_score, **label.online_scores}, label.outcome)
        for model in self._models.values():
            model.learn(label.features, label.outcome)
        self.labels_learnt += 1
        self._reference.append((tuple(label.features), label.forest_score))
        features = dict(zip(FEATURE_NAMES, label.features, strict=True))
        shifted = self._feature_drift.take([features[name] for name in MONITORED], label.due_date.toordinal())
        alerts = [
            *(_loss_alert(each, label, offset) for each in self._loss_drift.take()),
            *(_feature_alert(each, label, offset) for each in shifted),
        ]
        return Learnt(True, tuple(alerts), self._choose())

    @property
    def online_weight(self) -> float:
        """The champion's share of the blend."""
        return online_share(self._record, self.champion)

    def quality(self) -> dict[str, Quality]:
        """How well each model did on the recent labels, by the predictions it made at the time."""
        return {name: self._record.quality(name) for name in JUDGED}

    def stability_indices(self) -> dict[str, float]:
        """Each feature's population stability index in the last closed window."""
        return self._feature_drift.indices()

    def snapshot(self) -> ModelSnapshot:
        """The state's whole state."""
        return ModelSnapshot(
            labels_learnt=self.labels_learnt,
            contenders={name: model.snapshot() for name, model in self._models.items()},
            champion=self.champion,
            online_weight=self.online_weight,
            record=self._record.snapshot(),
            loss_fed=dict(self._loss_drift.fed),
            feature_drift=self._feature_drift.snapshot(),
            next_label_offset=self.next_offset,
            learnt_to=dict(self._learnt_to),
            reference=ReferenceRows(
                rows=tuple(row for row, _ in self._reference), forest_scores=tuple(said for _, said in self._reference)
            ),
        )

    def _choose(self) -> str | None:
        if self.labels_learnt % _CHOOSE_EVERY:
            return None
        before, self.champion = self.champion, choose_champion(self.champion, ELIGIBLE, self._record)
        return before if self.champion != before else None


def _checked(drift: FeatureDriftSnapshot) -> FeatureDriftSnapshot:
    """Raise `SnapshotError` unless the snapshot is of the features that are monitored here."""
    widths = {len(row) for row in drift.rows} | ({len(drift.edges)} if drift.edges else set())
    if widths - {len(MONITORED)}:
        raise SnapshotError("feature_drift: the snapshot was made of other features than are monitored here")
    return drift


def _loss_alert(drift: Drift, label: Label, offset: int) -> Alert:
    return Alert(
        alert_id=f"loss-drift-{drift.subject}-{offset}",
        kind="loss_drift",
        subject=drift.subject,
        before=drift.before,
        after=drift.after,
        due_date=label.due_date,
        label_offset=offset,
        text=f"log loss of {drift.subject} rose from {drift.before:.3f} to {drift.after:.3f} nats",
    )


def _feature_alert(drift: Drift, label: Label, offset: int) -> Alert:
    return Alert(
        alert_id=f"feature-drift-{drift.subject}-{offset}",
        kind="feature_drift",
        subject=drift.subject,
        before=drift.before,
        after=drift.after,
        due_date=label.due_date,
        label_offset=offset,
        text=f"{drift.subject} is distributed otherwise than before: stability index {drift.after:.2f}",
    )
