"""docs/metrics.md, written from the metric definitions and the rules: `python -m docs.generate.metrics_page`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from docs.generate.catalogue import definitions

FILE = Path(__file__).parents[1] / "metrics.md"
RULES = Path(__file__).parents[2] / "monitoring" / "prometheus" / "rules.yml"
_HEAD = """\
# Metrics

Written from `monitoring/metrics.py` and `monitoring/prometheus/rules.yml` by `make docs`.

`riskmon worker` and `riskmon learner` serve these at `/metrics`, port 9464 unless `--metrics-port` or
`RISKMON_METRICS_PORT` says otherwise, on 127.0.0.1 unless `RISKMON_METRICS_HOST` does. Both serve all names; `job`
tells whose value it is (`riskmon-worker`, `riskmon-learner`). Beside them stand the usual `process_*` and `python_*`.

With several workers each tells of the partitions it owns, and takes its gauges back when a rebalance begins. So
`sum by (bucket) (riskmon_borrowers)` is the portfolio, except while partitions move: those being recovered are missing.

| metric | kind | labels | meaning |
| --- | --- | --- | --- |
"""
_RECORDED = """
## Recorded series

| series | PromQL |
| --- | --- |
"""
_ALERTS = """
## Alerts

| alert | severity | says |
| --- | --- | --- |
"""


def metrics_page(rules: dict[str, Any]) -> str:
    """The whole page; `rules` is the parsed rules file."""
    every = [rule for group in rules["groups"] for rule in group["rules"]]
    metrics = [(f"`{each.name}`", each.kind, ", ".join(each.labels) or "-", each.meaning) for each in definitions()]
    recorded = [(f"`{rule['record']}`", f"`{rule['expr'].strip()}`") for rule in every if "record" in rule]
    alerts = [_alert(rule) for rule in every if "alert" in rule]
    return f"{_HEAD}{_lines(metrics)}{_RECORDED}{_lines(recorded)}{_ALERTS}{_lines(alerts)}"


def _alert(rule: dict[str, Any]) -> tuple[str, str, str]:
    name = rule["alert"]
    says = re.sub(r"{{ \$labels\.(\w+) }}", r"*\1*", rule["annotations"]["summary"])
    return f"[{name}](runbook.md#{name.lower()})", rule["labels"]["severity"], says


def _lines(rows: Sequence[Sequence[str]]) -> str:
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


if __name__ == "__main__":
    FILE.write_text(metrics_page(yaml.safe_load(RULES.read_text())))
