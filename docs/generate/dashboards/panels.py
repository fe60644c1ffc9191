"""Grafana panels and dashboards from a few words: a title, what it says, a unit and PromQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard as DashboardBuilder
from grafana_foundation_sdk.builders.dashboard import (
    DashboardLink,
    DatasourceVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, StackingMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_TAG = "riskmon"


class Kind(Enum):
    """How a panel draws: lines over time, stacked areas, one number, or a table of the newest values."""

    LINES = "lines"
    STACK = "stack"
    NUMBER = "number"
    TABLE = "table"


@dataclass(frozen=True)
class Panel:
    """`queries` are PromQL by legend (Grafana's `{{label}}` is filled in); `steps` are (from, colour) of a number."""

    title: str
    description: str
    unit: str
    queries: Mapping[str, str]
    kind: Kind = Kind.LINES
    width: int = 12
    steps: Sequence[tuple[float | None, str]] = ()


@dataclass(frozen=True)
class Dashboard:
    """Rows of panels by the row's title, in order."""

    uid: str
    title: str
    description: str
    rows: Mapping[str, Sequence[Panel]]
    since: str = "now-1h"

    def to_json(self) -> str:
        """The dashboard as Grafana's provisioning reads it."""
        builder = (
            DashboardBuilder(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([_TAG])
            .time(self.since, "now")
            .refresh("10s")
            .timezone("browser")
            .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
            .link(DashboardLink("riskmon").type(DashboardLinkType.DASHBOARDS).tags([_TAG]).keep_time(True))
        )
        # Fixed numbers keep links to single panels working.
        number = count(1)
        for title, panels in self.rows.items():
            builder.with_row(Row(title).id(next(number)))
            for panel in panels:
                builder.with_panel(_drawn(panel).id(next(number)))
        return json.dumps(builder.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _drawn(panel: Panel) -> timeseries.Panel | stat.Panel | table.Panel:
    made = _number(panel) if panel.kind is Kind.NUMBER else _table() if panel.kind is Kind.TABLE else _chart(panel)
    made.title(panel.title).description(panel.description).unit(panel.unit).datasource(_SOURCE)
    made.span(panel.width).height(4 if panel.kind is Kind.NUMBER else 8)
    for at, (legend, expression) in enumerate(panel.queries.items()):
        query = Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + at)).datasource(_SOURCE)
        made.with_target(_timed(query, panel.kind, expression))
    return made


def _timed(query: Dataquery, kind: Kind, expression: str) -> Dataquery:
    if kind is Kind.TABLE:
        return query.instant().format(PromQueryFormat.TABLE)
    # A number over the whole range shown is asked for once, not at every step of the range.
    return query.instant() if kind is Kind.NUMBER and "$__range]" in expression else query.range()


def _chart(panel: Panel) -> timeseries.Panel:
    legend = common_builders.VizLegendOptions().display_mode(LegendDisplayMode.LIST)
    chart = timeseries.Panel().legend(legend.placement(LegendPlacement.BOTTOM).show_legend(True))
    if panel.kind is Kind.STACK:
        return chart.stacking(common_builders.StackingConfig().mode(StackingMode.NORMAL).group("A")).fill_opacity(60)
    return chart


def _number(panel: Panel) -> stat.Panel:
    newest = common_builders.ReduceDataOptions().calcs(["lastNotNull"])
    steps = [Threshold(value, colour) for value, colour in panel.steps or ((None, "text"),)]
    thresholds = ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    return stat.Panel().reduce_options(newest).thresholds(thresholds)


def _table() -> table.Panel:
    hide_time = DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}})
    return table.Panel().with_transformation(hide_time)
