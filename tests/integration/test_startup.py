"""What a worker that waits weighs: it has its model, and no Kafka answers yet."""

import re
import time
import urllib.error
import urllib.request
from pathlib import Path

from streams.command.local_kafka.broker import free_port
from tests.support.processes import Process, running

MOST_KB = 100 << 10


def test_a_worker_that_trained_its_first_forest_and_waits_for_kafka_is_small(tmp_path: Path) -> None:
    environment = {
        "RISKMON_BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "RISKMON_MODEL_DIR": str(tmp_path / "forest"),
        "RISKMON_HOME": str(tmp_path / "home"),
    }
    with running("worker", environment, tmp_path / "worker.log") as worker:
        deadline = time.monotonic() + 120
        while "missing" in (told := problems(worker)) or "broker away" not in told:
            worker.assert_running()
            assert time.monotonic() < deadline, worker.tail()
            time.sleep(0.2)
        time.sleep(3)
        status = Path(f"/proc/{worker.child.pid}/status").read_text()
        assert (tmp_path / "forest" / "model.json").exists()
    resident = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert resident is not None
    assert int(resident[1]) < MOST_KB


def problems(worker: Process) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.metrics_port}/readyz", timeout=2) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return "missing"
