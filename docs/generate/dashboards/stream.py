"""Stream health: what an SRE looks at first."""

from __future__ import annotations

from docs.generate.dashboards.panels import Dashboard, Kind, Panel
from docs.generate.dashboards.queries import ACTION_LATENCY, IN_TIME, WORKER, quantiles, rate

STREAM = Dashboard(
    "riskmon-stream",
    "riskmon: stream health",
    "Does the stream keep up: rate, errors, duration, lag, state and recovery of the workers.",
    {
        "At a glance": [
            IN_TIME,
            Panel(
                "Records waiting",
                "Records of riskmon.events that no worker has processed yet.",
                "short",
                {"lag": "sum(riskmon_lag_records)"},
                Kind.NUMBER,
                6,
            ),
            Panel(
                "Workers ready",
                "Workers whose partitions' state is loaded.",
                "short",
                {"ready": f"sum(riskmon_worker_ready{WORKER})"},
                Kind.NUMBER,
                6,
                ((None, "red"), (1.0, "green")),
            ),
            Panel(
                "Alerts firing",
                "Alerts of any severity that fire now; the runbook has a section for each.",
                "short",
                {"firing": 'count(ALERTS{alertstate="firing"}) or vector(0)'},
                Kind.NUMBER,
                6,
                ((None, "green"), (1.0, "red")),
            ),
        ],
        "Rate and errors": [
            Panel(
                "Events applied",
                "Events that changed a borrower's state, by type.",
                "eps",
                {"{{type}}": rate("riskmon_events_total", "type")},
                Kind.STACK,
            ),
            Panel(
                "Messages refused",
                "Messages sent to riskmon.deadletter, by reason.",
                "eps",
                {"{{reason}}": rate("riskmon_dead_letters_total", "reason")},
            ),
            Panel(
                "Events that changed nothing",
                "Duplicates by event_id, and events that a recovered state already held.",
                "eps",
                {
                    "duplicate": rate("riskmon_duplicate_events_total"),
                    "redelivered": rate("riskmon_redelivered_events_total"),
                },
                width=8,
            ),
            Panel(
                "Kafka answers",
                "1 while Kafka answers the process.",
                "short",
                {"{{job}} {{instance}}": 'riskmon_broker_up{job=~"riskmon-.*"}'},
                width=8,
            ),
            Panel(
                "Failed writes to Kafka",
                "Each is tried again, and nothing else is processed meanwhile.",
                "ops",
                {"{{job}} {{instance}}": rate("riskmon_broker_errors_total", "job, instance")},
                width=8,
            ),
            Panel(
                "Messages of strangers",
                "Messages on riskmon's topics that are not riskmon's; they are passed over.",
                "ops",
                {"{{topic}}": rate("riskmon_foreign_messages_total", "topic")},
                width=8,
            ),
        ],
        "Duration": [
            ACTION_LATENCY,
            Panel(
                "Event to state",
                "From an event's publication to the acknowledged write of its state.",
                "s",
                quantiles("riskmon_event_latency_seconds"),
            ),
            Panel(
                "Batch",
                "From taking a batch of records to its last acknowledged write.",
                "s",
                quantiles("riskmon_batch_duration_seconds"),
            ),
            Panel(
                "Burn rate of the freshness objective",
                "1 uses the month's budget of late actions up in a month, 14.4 in two days. A page needs two windows.",
                "short",
                {
                    "5 m": "riskmon:actions_late:ratio_rate5m / 0.01",
                    "1 h": "riskmon:actions_late:ratio_rate1h / 0.01",
                    "6 h": "riskmon:actions_late:ratio_rate6h / 0.01",
                },
            ),
        ],
        "Partitions and state": [
            Panel(
                "Lag by partition",
                "Records waiting, by partition.",
                "short",
                {"partition {{partition}}": "sum by (partition) (riskmon_lag_records)"},
            ),
            Panel(
                "Business day by partition",
                "The last business day that was closed; 1970 before the first. All partitions should show the same.",
                "dateTimeAsIso",
                {"partition {{partition}}": "1000 * max by (partition) (riskmon_business_day_timestamp_seconds)"},
            ),
            Panel(
                "Held by an open transaction",
                "How long events have waited behind a producer's transaction that has not ended.",
                "s",
                {"partition {{partition}}": "max by (partition) (riskmon_open_transaction_seconds)"},
            ),
            Panel(
                "Deleted before they were read",
                "Offsets of riskmon.events that Kafka deleted before a worker had read them.",
                "short",
                {"partition {{partition}}": "sum by (partition) (riskmon_expired_records_total)"},
            ),
            Panel(
                "State by partition",
                "Encoded size of the borrowers' rows.",
                "bytes",
                {"partition {{partition}}": "sum by (partition) (riskmon_state_bytes)"},
                Kind.STACK,
            ),
            Panel(
                "Rows by worker",
                "Rows of the account table in the partitions each worker owns.",
                "short",
                {"{{instance}}": "sum by (instance) (riskmon_state_rows)"},
                Kind.STACK,
            ),
            Panel(
                "Last recovery",
                "From the loss of the partitions, or the start, to the state loaded again.",
                "s",
                {"{{instance}}": f"riskmon_recovery_duration_seconds{WORKER}"},
            ),
        ],
        "Processes": [
            Panel(
                "Memory",
                "Resident memory of each process.",
                "bytes",
                {"{{job}} {{instance}}": 'process_resident_memory_bytes{job=~"riskmon-.*"}'},
            ),
            Panel(
                "Processor",
                "Cores in use by each process; a worker uses one at most.",
                "short",
                {"{{job}} {{instance}}": 'rate(process_cpu_seconds_total{job=~"riskmon-.*"}[$__rate_interval])'},
            ),
        ],
    },
)
