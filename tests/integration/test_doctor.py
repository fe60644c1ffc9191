"""`riskmon topics` and `riskmon doctor` as a user runs them."""

import os
import subprocess
from pathlib import Path

from streams.command.local_kafka.broker import LocalBroker, free_port
from tests.support.processes import COMMAND


def riskmon(command: str, bootstrap: str, model: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {
        "RISKMON_BOOTSTRAP": bootstrap,
        "RISKMON_APPLICATION": "doctored",
        "RISKMON_MODEL_DIR": str(model),
        "RISKMON_METRICS_PORT": str(free_port()),
        "COLUMNS": "200",
    }
    return subprocess.run([*COMMAND, command], env=env, capture_output=True, text=True, timeout=60, check=False)


def test_doctor_is_content_once_the_topics_are_there(broker: LocalBroker, model: Path) -> None:
    before = riskmon("doctor", broker.bootstrap, model)
    assert before.returncode == 0, before.stdout + before.stderr
    assert "does not exist yet" in before.stdout
    made = riskmon("topics", broker.bootstrap, model)
    assert made.returncode == 0, made.stdout + made.stderr
    after = riskmon("doctor", broker.bootstrap, model)
    assert after.returncode == 0, after.stdout + after.stderr
    assert "does not exist yet" not in after.stdout
    assert "doctored-accounts-changelog" in after.stdout


def test_doctor_says_that_kafka_is_away_and_what_to_do(model: Path) -> None:
    run = riskmon("doctor", "127.0.0.1:1", model)
    assert run.returncode == 1
    assert "no answer from 127.0.0.1:1" in run.stdout
    assert "riskmon broker" in run.stdout
    assert "Traceback" not in run.stderr
