"""The metrics of `monitoring.metrics` as values, for what is written from them: documentation and dashboards."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client.metrics import MetricWrapperBase

from monitoring import metrics


class Definition(NamedTuple):
    """A metric: the name under which PromQL finds it (a histogram's without suffix), kind, meaning, label names."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]


def definitions() -> list[Definition]:
    """Every metric, in the order in which it is defined."""
    return [_definition(each) for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]


def _definition(metric: MetricWrapperBase) -> Definition:
    (family,) = metric.describe()
    suffix = "_total" if family.type == "counter" else ""
    return Definition(f"{family.name}{suffix}", family.type, family.documentation, tuple(metric._labelnames))
