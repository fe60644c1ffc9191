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
# What producers may send in one batch: Kafka's own default, said aloud so that no broker's setting changes it.
BATCH_BYTES = (1 << 20) + 12
_DAY_MS = 86_400_000
# A stale row of a suspended worker is told from the good one by what stands before it: both must be there to be read.
_CHANGELOG_KEEPS_ALL_MS = 3_600_000
# What a newer row or a tombstone has replaced is gone after this: how long an erasure takes.
_CHANGELOG_REPLACED_GONE_MS = 7 * _DAY_MS
# A tombstone must outlive the longest rest of a worker that keeps its store, or the store never hears of it.
_CHANGELOG_TOMBSTONES_MS = 30 * _DAY_MS


@dataclass(frozen=True)
class Retention:
    """For how many days a topic keeps a message, by what it is for.

    Events must outlive the longest time without workers, and tell a borrower's history. Dead letters hold whole
    messages and wait for a person.
    """

    events: int = 365
    actions: int = 365
    labels: int = 365
    alerts: int = 90
    deadletter: int = 90


@dataclass(frozen=True)
class TopicSpec:
    """A topic as riskmon needs it."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


def changelog_name(application: str) -> str:
    """The changelog of the account table, as Faust names it."""
    return f"{application}-{ACCOUNTS_TABLE}-changelog"


def min_insync_replicas(replication: int) -> int:
    """How many replicas must have a write: from three on a broker may be lost without loss and without a stop."""
    return 2 if replication >= 3 else 1


def topic_specs(
    application: str, partitions: int, replication: int = 1, retention: Retention | None = None
) -> list[TopicSpec]:
    """All topics. The changelog has as many partitions as the events, since a partition's state moves with it."""
    days = retention or Retention()
    # A dead letter is a message of any size that Kafka took, and more; a row holds all that a batch decided.
    large = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
    compacted = {"cleanup.policy": "compact"}
    changelog = compacted | {
        "min.compaction.lag.ms": str(_CHANGELOG_KEEPS_ALL_MS),
        "max.compaction.lag.ms": str(_CHANGELOG_REPLACED_GONE_MS),
        "delete.retention.ms": str(_CHANGELOG_TOMBSTONES_MS),
    }
    specs = [
        TopicSpec(EVENTS, partitions, _kept(days.events)),
        TopicSpec(ACTIONS, partitions, _kept(days.actions)),
        # One partition: a single learner takes the labels in one order.
        TopicSpec(LABELS, 1, _kept(days.labels)),
        TopicSpec(MODELS, 1, compacted),
        TopicSpec(ALERTS, 1, _kept(days.alerts)),
        TopicSpec(DEADLETTER, 1, _kept(days.deadletter) | large),
        TopicSpec(changelog_name(application), partitions, changelog | large),
    ]
    return [TopicSpec(spec.name, spec.partitions, _common(replication) | spec.config) for spec in specs]


def _kept(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS)}


def _common(replication: int) -> dict[str, str]:
    return {
        "max.message.bytes": str(BATCH_BYTES),
        # The broker's clock, not each producer's: a wrong one can neither run ahead nor let its messages expire at
        # once, and retention counts from a message's arrival.
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(min_insync_replicas(replication)),
        "unclean.leader.election.enable": "false",
    }
