"""Every metric, one panel each, made from its definition: a new metric is seen without more work."""

from __future__ import annotations

from docs.generate.catalogue import Definition, definitions
from docs.generate.dashboards.panels import Dashboard, Panel
from docs.generate.dashboards.queries import quantiles, rate

_UNITS = {"_seconds": "s", "_bytes": "bytes", "_ratio": "percentunit", "_total": "cps"}


def every_metric() -> Dashboard:
    """The dashboard of all that `monitoring.metrics` defines."""
    return Dashboard(
        "riskmon-metrics",
        "riskmon: every metric",
        "One panel for each metric that riskmon exposes, made from its definition.",
        {"Metrics": [_panel(metric) for metric in definitions()]},
    )


def _panel(metric: Definition) -> Panel:
    unit = next((unit for end, unit in _UNITS.items() if metric.name.endswith(end)), "short")
    return Panel(metric.name, metric.meaning, unit, _queries(metric))


def _queries(metric: Definition) -> dict[str, str]:
    if metric.kind == "histogram":
        return quantiles(metric.name)
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
    if metric.kind == "counter":
        return {legend or "all": rate(metric.name, ", ".join(metric.labels))}
    return {f"{{{{instance}}}} {legend}".rstrip(): f'{metric.name}{{job=~"riskmon-.*"}}'}
