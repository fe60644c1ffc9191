"""The PromQL that several panels share, and the panels that several dashboards share."""

from __future__ import annotations

from docs.generate.dashboards.panels import Kind, Panel

WORKER = '{job="riskmon-worker"}'


def rate(counter: str, by: str = "") -> str:
    """A counter's rate a second over all processes, by the labels named."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({counter}[$__rate_interval]))"


def quantiles(histogram: str) -> dict[str, str]:
    """The median, 95th and 99th percentile of a histogram over all processes, by legend."""
    rate = f"sum by (le) (rate({histogram}_bucket[$__rate_interval]))"
    return {f"p{share:g}": f"histogram_quantile({share / 100:g}, {rate})" for share in (50, 95, 99)}


IN_TIME = Panel(
    "Actions in time",
    "Share of actions on the topic within 1 s of their event, in the range shown. The objective is 99 %.",
    "percentunit",
    {
        "within 1 s": 'sum(increase(riskmon_action_latency_seconds_bucket{le="1.0"}[$__range]))'
        " / sum(increase(riskmon_action_latency_seconds_count[$__range]))"
    },
    Kind.NUMBER,
    6,
    ((None, "red"), (0.99, "green")),
)
ACTION_LATENCY = Panel(
    "Event to action",
    "From the publication of the causing event to the action's acknowledged write. The objective allows 1 s.",
    "s",
    quantiles("riskmon_action_latency_seconds"),
)
