"""Actions: what collections are told to do."""

from __future__ import annotations

from docs.generate.dashboards.panels import Dashboard, Kind, Panel
from docs.generate.dashboards.queries import ACTION_LATENCY, IN_TIME, rate

ACTIONS = Dashboard(
    "riskmon-actions",
    "riskmon: actions",
    "What collections are told to do: how many strategy changes, in which direction, how fast.",
    {
        "At a glance": [
            Panel(
                "Actions",
                "Strategy changes published in the range shown.",
                "short",
                {"actions": "sum(increase(riskmon_actions_total[$__range]))"},
                Kind.NUMBER,
                6,
            ),
            Panel(
                "To aggressive recovery",
                "Changes to aggressive recovery in the range shown.",
                "short",
                {"recovery": 'sum(increase(riskmon_actions_total{strategy="aggressive_recovery"}[$__range]))'},
                Kind.NUMBER,
                6,
            ),
            Panel(
                "Actions per 1,000 borrowers",
                "Strategy changes in the range shown; how much work collections get.",
                "short",
                {"actions": "1000 * sum(increase(riskmon_actions_total[$__range])) / sum(riskmon_borrowers)"},
                Kind.NUMBER,
                6,
            ),
            IN_TIME,
        ],
        "Actions": [
            Panel(
                "Actions by new strategy",
                "Strategy changes a second.",
                "ops",
                {"{{strategy}}": rate("riskmon_actions_total", "strategy")},
                Kind.STACK,
            ),
            ACTION_LATENCY,
            Panel(
                "Changes",
                "Strategy changes in the range shown, from and to.",
                "short",
                {"changes": "sum by (previous_strategy, strategy) (increase(riskmon_actions_total[$__range])) > 0"},
                Kind.TABLE,
            ),
            Panel(
                "Borrowers under each strategy",
                "Where the changes have led.",
                "short",
                {"{{strategy}}": "sum by (strategy) (riskmon_borrowers)"},
                Kind.STACK,
            ),
        ],
    },
    "now-6h",
)
