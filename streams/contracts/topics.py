"""The topics riskmon reads and writes."""

from __future__ import annotations

from dataclasses import dataclass, field

EVENTS = "riskmon.events"


ACTIONS = "riskmon.actions"


LABELS = "riskmon.labels"


MODELS = "riskmon.models"


ALERTS = "riskmon.alerts"


DEADLETTER = "riskmon.deadletter"


ACCOUNTS_TABLE = "accounts"


MAX_MESSAGE_BYTES = 16 << 20


@dataclass(frozen=True)
class TopicSpec:
    """A topic as riskmon needs it."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


def changelog_name(application: str) -> str:
    """The changelog of the account table, as Faust names it."""
    return f"{application}-{ACCOUNTS_TABLE}-changelog"


def topic_specs(application: str, partitions: int) -> list[TopicSpec]:
    """All topics. The changelog has as many partitions as the events, since a partition's state moves with it."""
    compacted = {"cleanup.policy": "compact"}
    # A dead letter is a message of any size that Kafka took, and more; a row holds all that a batch decided.
    large = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    return [
        TopicSpec(EVENTS, partitions),
        TopicSpec(ACTIONS, partitions),
        # One partition: a single learner takes the labels in one order.
        TopicSpec(LABELS, 1),
        TopicSpec(MODELS, 1, compacted),
        TopicSpec(ALERTS, 1),
        TopicSpec(DEADLETTER, 1, large),
        TopicSpec(changelog_name(application), partitions, compacted | large),
    ]
