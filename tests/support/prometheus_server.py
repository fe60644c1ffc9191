"""A genuine Prometheus for the tests, with riskmon's own configuration and the targets of this machine."""

from __future__ import annotations

import json
import math
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from streams.command.local_kafka.broker import free_port
from tests.support.machine import command

FILES = Path(__file__).parents[2] / "monitoring" / "prometheus"


def tool(name: str) -> str:
    """The path of `prometheus`, `promtool` or `amtool`."""
    return command(name, "prometheus-alertmanager" if name == "amtool" else "prometheus")


class Prometheus:
    """The server's HTTP interface."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def get(self, path: str, **parameters: str | float) -> Any:
        """The `data` of an answer of the interface."""
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)["data"]

    def values(self, expression: str, at: float) -> list[float]:
        """The value of each series that the expression gives at that time (seconds since 1970)."""
        result = self.get("query", query=expression, time=at)
        samples = [result["result"]] if result["resultType"] == "scalar" else [s["value"] for s in result["result"]]
        return [float(value) for _, value in samples]

    def last_moment(self, expression: str, since: float) -> float:
        """When the expression last gave something, looking back to `since`, by the second."""
        found = self.get("query_range", query=expression, start=since, end=time.time(), step=1)["result"]
        return max((float(moment) for series in found for moment, _ in series["values"]), default=math.nan)


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, int]) -> Iterator[Prometheus]:
    """Run it on the repository's configuration, scraping these ports by job every second."""
    config = yaml.safe_load((FILES / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FILES / "rules.yml")]
    del config["alerting"]
    jobs = {each["job_name"] for each in config["scrape_configs"]}
    assert targets.keys() <= jobs
    config["scrape_configs"] = [
        {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{number}"]}]} for job, number in targets.items()
    ]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    server = Prometheus(port)
    start = [
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(start, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not server.ready():
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < deadline, (folder / "prometheus.log").read_text()
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(20)
