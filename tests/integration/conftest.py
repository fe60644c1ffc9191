"""One `riskmon demo` with a Prometheus that watches it, for all tests that look at a running system."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import COMMAND
from tests.support.prometheus_server import Prometheus, prometheus, tool

# Enough labels for two of the windows whose features are compared.
BORROWERS = 500


@dataclass(frozen=True)
class DemoRun:
    """A demo that has ended: its exit code, what it printed, its summary, and when it began."""

    exit_code: int
    output: str
    summary: dict[str, Any]
    started: float
    watcher: Prometheus | None

    @property
    def prometheus(self) -> Prometheus:
        """The Prometheus that watched it; the test is skipped where none is installed."""
        tool("prometheus")
        assert self.watcher
        return self.watcher

    @property
    def moment(self) -> float:
        """A time just before its end."""
        return self.prometheus.last_moment('count(up{job=~"riskmon-.*"} == 1) == 2', self.started)


@pytest.fixture(scope="session")
def demo_run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoRun]:
    """`riskmon demo` from the command line, as the README names it."""
    folder: Path = tmp_path_factory.mktemp("demo")
    environment = os.environ | {
        "RISKMON_HOME": str(folder),
        "RISKMON_MODEL_DIR": str(model),
        "RISKMON_METRICS_PORT": "0",
        "RISKMON_CONSOLE_PORT": "0",
        "COLUMNS": "250",
    }
    summary, log, started = folder / "summary.json", folder / "demo.log", time.time()
    demo = [*COMMAND, "demo", "--borrowers", str(BORROWERS), "--days", "220", "--rate", "600", "--malformed", "0.01"]
    with log.open("wb") as out:
        process = subprocess.Popen([*demo, "--summary", str(summary)], env=environment, stdout=out, stderr=out)
    try:
        targets = _targets(log, process)
        with prometheus(folder, targets) if shutil.which("prometheus") else nullcontext() as watcher:
            exit_code = process.wait(150)
            yield DemoRun(exit_code, log.read_text(), json.loads(summary.read_text()), started, watcher)
    finally:
        process.kill()
        process.wait()


def _targets(log: Path, process: subprocess.Popen[bytes]) -> dict[str, int]:
    """The metrics ports by Prometheus' job, as the demo names them once they are known."""
    said = re.compile(r"worker and learner at http://127\.0\.0\.1:(\d+)/metrics and http://127\.0\.0\.1:(\d+)/metrics")
    while not (found := said.search(log.read_text())):
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    return {"riskmon-worker": int(found[1]), "riskmon-learner": int(found[2])}
