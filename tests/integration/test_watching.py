"""Every PromQL expression of rules and dashboards, asked of a Prometheus that watched a demo."""

import math

import pytest

from tests.integration.conftest import BORROWERS, DemoRun
from tests.support.promql import RULES, operands, panels

_FROM_RULES = [(rule.get("alert") or rule["record"], part) for rule in RULES for part in operands(rule["expr"])]
_FROM_PANELS = [
    (f"{file}: {panel['title']}", query["expr"].replace("$__rate_interval", "30s").replace("$__range", "5m"))
    for file, panel in panels()
    for query in panel["targets"]
]


def test_prometheus_saw_worker_and_learner_and_could_evaluate_every_rule(demo_run: DemoRun) -> None:
    rules = [rule for group in demo_run.prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    assert len(rules) == len(RULES)
    assert demo_run.prometheus.values("sum(riskmon_borrowers)", demo_run.moment) == [BORROWERS]
    # Whether actions are late depends on the machine, and loans that have just begun do drift; another would be false.
    firing = 'count(ALERTS{alertstate="firing",alertname!~"RiskmonActionsLate.*|RiskmonDrift"})'
    assert demo_run.prometheus.values(firing, demo_run.moment) == []


@pytest.mark.parametrize(("where", "expression"), [*_FROM_RULES, *_FROM_PANELS])
def test_no_expression_is_empty(demo_run: DemoRun, where: str, expression: str) -> None:
    found = demo_run.prometheus.values(expression, demo_run.moment)
    assert any(not math.isnan(value) for value in found), where
