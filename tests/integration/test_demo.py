"""`riskmon demo` from the command line, as the README names it."""

import subprocess

from tests.integration.conftest import BORROWERS, DemoRun
from tests.support.processes import COMMAND


def test_demo_ends_by_itself_and_its_counts_add_up(demo_run: DemoRun) -> None:
    assert demo_run.exit_code == 0, demo_run.output
    assert "web console at http://127.0.0.1:" in demo_run.output
    told = demo_run.summary
    events = told["events"]
    assert events["published"] == events["applied"] + events["duplicates"] + told["dead_letters"]
    assert told["dead_letters"] > 0
    assert events["duplicates"] > 0
    assert sum(told["borrowers"].values()) == BORROWERS
    for strategy in ("automated_reminder", "settlement_offer", "aggressive_recovery"):
        assert told["actions"][strategy] > 0
    assert told["labels"] > 0
    assert told["publish_to_action_ms"]["p99"] >= told["publish_to_action_ms"]["p50"] > 0


def test_no_kafka_is_a_clear_message_not_a_traceback() -> None:
    run = subprocess.run(
        [*COMMAND, "simulate", "--bootstrap", "127.0.0.1:1", "--days", "1"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 1
    assert "no Kafka answers at 127.0.0.1:1" in run.stderr
    assert "Traceback" not in run.stderr
