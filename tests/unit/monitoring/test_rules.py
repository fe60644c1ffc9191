"""The alerts, their unit tests and runbook, the generated files: each is held against what it comes from."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from docs.generate.catalogue import definitions
from docs.generate.dashboards.__main__ import FOLDER, dashboard_files
from docs.generate.metrics_page import FILE, metrics_page
from tests.support.prometheus_server import FILES, tool
from tests.support.promql import ALERTS, panels

ROOT = Path(__file__).parents[3]
RULE_TESTS = sorted((ROOT / "tests" / "prometheus").glob("*_test.yml"))
STALE = "written from the code: run `make docs`"


def check(*command: str | Path) -> None:
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_prometheus_and_alertmanager_take_their_files() -> None:
    # The token's file is only there in the container.
    check(tool("promtool"), "check", "config", "--syntax-only", FILES / "prometheus.yml")
    check(tool("promtool"), "check", "rules", FILES / "rules.yml")
    file = ROOT / "monitoring" / "alertmanager" / "alertmanager.yml"
    check(tool("amtool"), "check-config", file)
    for severity in ("page", "ticket"):
        route = ("config", "routes", "test", f"--config.file={file}", f"--verify.receivers={severity}")
        check(tool("amtool"), *route, f"severity={severity}")


@pytest.mark.slow
def test_every_alert_fires_when_it_should_and_not_when_it_should_not() -> None:
    check(tool("promtool"), "test", "rules", *RULE_TESTS)
    cases = [
        case
        for file in RULE_TESTS
        for test in yaml.safe_load(file.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    names = {alert["alert"] for alert in ALERTS}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_what_to_do(alert: dict[str, dict[str, str]]) -> None:
    name = str(alert["alert"])
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    section = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", runbook, re.M | re.S)
    assert section
    assert "**Do**" in section[1]


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    assert re.findall(r"^### (\w+)$", runbook, re.M) == [alert["alert"] for alert in ALERTS]


def test_the_metrics_page_is_current() -> None:
    assert FILE.read_text() == metrics_page(yaml.safe_load((FILES / "rules.yml").read_text())), STALE


def test_the_dashboards_are_current() -> None:
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == dashboard_files(), STALE


def test_every_panel_has_title_description_and_unit() -> None:
    for file, panel in panels():
        assert panel["title"], file
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_names_follow_prometheus_conventions() -> None:
    for metric in definitions():
        assert re.fullmatch(r"riskmon_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not re.search(r"_(ms|milliseconds|minutes|kb|percent)\b", metric.name)
        assert not {"borrower_id", "loan_id", "event_id"} & set(metric.labels)
