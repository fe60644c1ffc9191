"""Every metric riskmon exposes, in Prometheus' naming: base units, `_total` for counters, bounded labels.

Gauges tell of the process that answers: a worker's of the partitions it owns, so that sums over all workers are the
portfolio. docs/metrics.md is written from here (`make docs`).
"""

from __future__ import annotations

from itertools import permutations
from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from streams.contracts import topics
from streams.contracts.events import EVENT_TYPES
from streams.contracts.refusals import RefusalReason
from streams.contracts.vocabulary import BUCKETS, Strategy

# A worker's stream
EVENTS = Counter("riskmon_events", "Events applied to borrower state, by event type.", ["type"])
DUPLICATES = Counter("riskmon_duplicate_events", "Events whose event_id was already applied.")
REDELIVERED = Counter("riskmon_redelivered_events", "Events skipped after a recovery: the state already held them.")
DEAD_LETTERS = Counter("riskmon_dead_letters", "Messages sent to the dead-letter topic, by reason.", ["reason"])
ACTIONS = Counter(
    "riskmon_actions",
    "Strategy changes sent to the actions topic, by previous and new strategy.",
    ["previous_strategy", "strategy"],
)
LABELS = Counter("riskmon_labels", "Predictions whose outcome became known.")
SCORES = Counter("riskmon_scores", "Loans scored.")
BATCH_SECONDS = Histogram(
    "riskmon_batch_duration_seconds",
    "Time from taking a batch of records to its last acknowledged write.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
LATENCY_SECONDS = Histogram(
    "riskmon_event_latency_seconds",
    "Time from an event's publication to the acknowledged write of its state and actions.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
ACTION_LATENCY_SECONDS = Histogram(
    "riskmon_action_latency_seconds",
    "Time from the publication of the event that caused an action to the action's acknowledged write.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
LAG = Gauge(
    "riskmon_lag_records",
    "Committed records of the events topic not yet written as state, by partition the worker owns.",
    ["partition"],
)
EXPIRED_RECORDS = Counter(
    "riskmon_expired_records",
    "Offsets of the events topic that Kafka deleted before they were read, by partition.",
    ["partition"],
)
OPEN_TRANSACTION_SECONDS = Gauge(
    "riskmon_open_transaction_seconds",
    "How long a producer's open transaction has held the events behind it, by partition; 0 without one.",
    ["partition"],
)
BUSINESS_DAY = Gauge(
    "riskmon_business_day_timestamp_seconds",
    "The last business day closed on a partition, as its midnight in UTC; 0 before the first.",
    ["partition"],
)
BROKER_UP = Gauge("riskmon_broker_up", "1 while Kafka answers this process.")
BROKER_ERRORS = Counter("riskmon_broker_errors", "Failed writes to Kafka; each is tried again.")
FOREIGN = Counter(
    "riskmon_foreign_messages", "Messages on riskmon's topics that are not riskmon's and were passed over.", ["topic"]
)

# A worker's state
READY = Gauge("riskmon_worker_ready", "1 once the state of the worker's partitions is loaded, 0 from a rebalance on.")
RECOVERY_SECONDS = Gauge(
    "riskmon_recovery_duration_seconds",
    "Time from the loss of the partitions, or the start, to the state loaded again; of the last recovery.",
)
STATE_ROWS = Gauge("riskmon_state_rows", "Rows of the account table, by partition the worker owns.", ["partition"])
STATE_BYTES = Gauge("riskmon_state_bytes", "Encoded size of these rows, by partition.", ["partition"])

# The portfolio of the partitions a worker owns
BORROWERS = Gauge("riskmon_borrowers", "Borrowers by delinquency bucket and strategy.", ["bucket", "strategy"])
SEGMENTS = Gauge("riskmon_segment_borrowers", "Borrowers with an open loan, by segment.", ["segment"])
ARREARS = Gauge("riskmon_arrears_currency_units", "Sum of arrears, by delinquency bucket of the borrower.", ["bucket"])
ROLLS = Counter(
    "riskmon_bucket_rolls",
    "Borrowers who moved from one delinquency bucket to another.",
    ["from_bucket", "to_bucket"],
)

# The models in a worker's use
FOREST_INFO = Gauge("riskmon_forest_info", "1 for the forest in use, by version.", ["version"])
ONLINE_LABELS = Gauge("riskmon_online_model_labels", "Labels the online model in use has learnt from.")
ONLINE_WEIGHT = Gauge("riskmon_online_model_weight_ratio", "The online model's share of the blended score.")
SNAPSHOTS_HELD_BACK = Gauge(
    "riskmon_snapshots_held_back",
    "Model snapshots since the one in force that would move scores too far at once, and wait for a person.",
)
STALE_SNAPSHOTS = Counter(
    "riskmon_stale_snapshots", "Model snapshots passed over because a later one was seen before: a suspended learner's."
)

# The learner
LEARNER_LABELS = Counter("riskmon_learner_labels", "Labels the learner took, by outcome.", ["outcome"])
LEARNER_REPEATS = Counter("riskmon_learner_repeated_labels", "Labels the learner had already learnt.")
MODEL_LOG_LOSS = Gauge(
    "riskmon_model_log_loss",
    "Mean log loss of the predictions made at the time, over the last 1000 labels, by model.",
    ["model"],
)
MODEL_AUC = Gauge("riskmon_model_auc_ratio", "Area under the ROC curve over the same labels, by model.", ["model"])
JUDGED_LABELS = Gauge("riskmon_model_judged_labels", "Labels on which a model is judged, at most 1000.", ["model"])
CHAMPION = Gauge("riskmon_champion", "1 for the online model that is served, 0 for its challengers.", ["model"])
CHAMPION_SWITCHES = Counter("riskmon_champion_switches", "Times another online model became the one served.")
DRIFT_ALERTS = Counter("riskmon_drift_alerts", "Drifts found, by kind and by model or feature.", ["kind", "subject"])
FEATURE_PSI = Gauge(
    "riskmon_feature_stability_index_ratio",
    "Population stability index of a feature in the last closed window against its reference window.",
    ["feature"],
)

# A series that is born with its first event hides that event from `increase`, so known label values start at zero.
for _type in EVENT_TYPES:
    EVENTS.labels(_type)
for _topic in (topics.ACTIONS, topics.LABELS, topics.MODELS, topics.DEADLETTER):
    FOREIGN.labels(_topic)
for _reason in get_args(RefusalReason):
    DEAD_LETTERS.labels(_reason)
for _previous, _new in permutations(Strategy, 2):
    ACTIONS.labels(_previous.value, _new.value)
for _from, _to in permutations(BUCKETS, 2):
    ROLLS.labels(_from, _to)
for _outcome in ("true", "false"):
    LEARNER_LABELS.labels(_outcome)
