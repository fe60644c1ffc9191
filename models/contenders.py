"""The online models that run side by side, and the choice of the one that is served beside the forest."""

from __future__ import annotations

from collections.abc import Iterable

from models.blend import FOREST, MIN_LABELS, combine, online_share
from models.online import Recipe
from models.record import Record, log_losses

SWITCH_MARGIN = 0.002
_BEHAVIOUR = (
    "days_past_due",
    "missed_count",
    "arrears_to_emi",
    "worst_days_past_due",
    "missed_share",
    "days_since_payment",
    "paid_to_due_90_days",
    "days_to_next_due",
)

RECIPES: tuple[Recipe, ...] = (
    Recipe("adagrad", rate=0.05),
    Recipe("sgd", rate=0.02, adaptive=False, logarithms=False),
    Recipe("products", rate=0.03, products=_BEHAVIOUR),
    Recipe("correction", rate=0.01, intercept_rate=0.005, l2=0.0, corrects_forest=True),
    # What missed count and days past due alone would do, kept as current as the others; a yardstick, never served.
    Recipe("baseline", rate=0.05, use=("days_past_due", "missed_count"), eligible=False),
)


def choose_champion(champion: str, challengers: Iterable[str], record: Record) -> str:
    """The champion from now on: another only if it beats the present one by more than `SWITCH_MARGIN` nats.

    A contender is judged as it would be served, in its blend with the forest, on the labels that all have predicted.
    Until there are `MIN_LABELS` of these the present champion stays.
    """
    names = [champion, *(name for name in challengers if name != champion)]
    outcomes, predictions = record.judged(FOREST, *names)
    if len(outcomes) < MIN_LABELS:
        return champion
    losses = {
        name: float(log_losses(combine(predictions[0], p_online, online_share(record, name)), outcomes).mean())
        for name, p_online in zip(names, predictions[1:], strict=True)
    }
    best = min(names, key=losses.__getitem__)
    return best if losses[champion] - losses[best] > SWITCH_MARGIN else champion
