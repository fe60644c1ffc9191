"""`riskmon demo` from the command line, as the README names it."""

import json
import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "streams.cli"]


def test_demo_ends_by_itself_and_its_counts_add_up(tmp_path: Path) -> None:
    environment = os.environ | {"RISKMON_HOME": str(tmp_path), "RISKMON_METRICS_PORT": "0", "RISKMON_CONSOLE_PORT": "0"}
    train = [*COMMAND, "train", "--borrowers", "400", "--days", "360"]
    subprocess.run(train, env=environment, check=True, capture_output=True, timeout=120)
    summary = tmp_path / "summary.json"
    demo = [*COMMAND, "demo", "--borrowers", "250", "--days", "180", "--rate", "800", "--malformed", "0.01"]
    run = subprocess.run(
        [*demo, "--summary", str(summary)], env=environment, capture_output=True, text=True, timeout=150, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads(summary.read_text())
    events = told["events"]
    assert events["published"] == events["applied"] + events["duplicates"] + told["dead_letters"]
    assert told["dead_letters"] > 0
    assert events["duplicates"] > 0
    assert sum(told["borrowers"].values()) == 250
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
