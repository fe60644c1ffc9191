"""docker-compose.yml under podman: what differs from the file, and what the tests ask of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.containers.images import ROOT

PROJECT = "riskmon-test"
WEB_TOKEN = "the-console's-token"
METRICS_TOKEN = "the-metrics'-token"
# No registry brings Grafana here; tests/integration/test_watching.py holds its dashboards against a real Prometheus.
LEFT_OUT = "grafana"
CHECKED = ("kafka", "worker", "learner", "console", "prometheus", "alertmanager")
# Prints each alert that Alertmanager posts, as its Slack.
_RECEIVER = """\
import http.server
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")
http.server.HTTPServer(("", 8000), Receiver).serve_forever()
"""
_RULE = {
    "alert": "RiskmonComposeTest",
    "expr": "vector(1)",
    "labels": {"severity": "ticket"},
    "annotations": {"summary": "A test", "description": "The chain of alerts works.", "runbook_url": "none"},
}


class Stack:
    """The services as containers."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment | {
            "RISKMON_WEB_TOKEN": WEB_TOKEN,
            "RISKMON_METRICS_TOKEN": METRICS_TOKEN,
            "RISKMON_ALERT_SECRETS": str(folder / "secrets"),
            "GRAFANA_ADMIN_PASSWORD": "unused",
        }
        self._waits = self._write()

    def _write(self) -> dict[str, dict[str, str]]:
        """Write the compose file that is run; what podman cannot do, or no registry brings, is changed in it.

        Returns on which condition of which others each service waits: podman of Debian 12 knows no conditions.
        """
        compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        del compose["services"][LEFT_OUT]
        # podman-compose knows secrets from files only.
        (secret,) = compose["secrets"]
        token = self._folder / secret
        token.write_text(METRICS_TOKEN)
        token.chmod(0o644)
        compose["secrets"] = {secret: {"file": str(token)}}
        self._add_receiver(compose["services"])
        depends = {name: service.pop("depends_on", {}) for name, service in compose["services"].items()}
        file = self._folder / "docker-compose.yml"
        text = yaml.safe_dump(compose, sort_keys=False)
        file.write_text(text.replace("./monitoring", str(ROOT / "monitoring")))
        return {
            name: {other: wanted["condition"] for other, wanted in waits.items()} for name, waits in depends.items()
        }

    def _add_receiver(self, services: dict[str, Any]) -> None:
        secrets, prometheus = self._folder / "secrets", self._folder / "prometheus"
        for folder in (secrets, prometheus):
            folder.mkdir()
        (secrets / "slack_webhook_url").write_text("http://receiver:8000/")
        (secrets / "pagerduty_routing_key").write_text("unused")
        for file in (ROOT / "monitoring" / "prometheus").iterdir():
            (prometheus / file.name).write_bytes(file.read_bytes())
        rules = yaml.safe_load((prometheus / "rules.yml").read_text())
        rules["groups"].append({"name": "test", "rules": [_RULE]})
        (prometheus / "rules.yml").write_text(yaml.safe_dump(rules))
        for folder in (self._folder, secrets, prometheus):
            folder.chmod(0o755)
        mounts = services["prometheus"]["volumes"]
        mounts[mounts.index("./monitoring/prometheus:/etc/prometheus:ro")] = f"{prometheus}:/etc/prometheus:ro"
        services["receiver"] = {
            "image": services["worker"]["image"],
            "entrypoint": ["python", "-c", _RECEIVER],
            "healthcheck": {"disable": True},
        }
        for service in services.values():
            if "build" in service:
                service["build"] = str(ROOT)

    def compose(self, *arguments: str, check: bool = True) -> None:
        """podman-compose on this project."""
        command = [
            sys.executable,
            "-m",
            "podman_compose",
            "-p",
            PROJECT,
            "-f",
            str(self._folder / "docker-compose.yml"),
        ]
        subprocess.run([*command, *arguments], env=self._environment, cwd=self._folder, check=check)

    def up(self, workers: int = 1, without: str = "") -> None:
        """Start everything, each service once what it waits for is so; then all that have a health check are well."""
        waiting = {name: waits for name, waits in self._waits.items() if name != without}
        while waiting:
            now = [name for name, waits in waiting.items() if not waits.keys() & waiting.keys()]
            for other, condition in {pair for name in now for pair in waiting[name].items()}:
                self.until(f"{other}: {condition}", partial(self._is, other, condition), 300)
            self.compose("up", "--detach", "--no-build", "--scale", f"worker={workers}", *now)
            waiting = {name: waits for name, waits in waiting.items() if name not in now}
        for service in CHECKED:
            self.until(f"{service} is healthy", partial(self._is, service, "service_healthy"), 300)

    def down(self, *options: str, check: bool = True) -> None:
        """Take everything down; podman-compose takes workers beyond the first for orphans."""
        self.compose("down", "--remove-orphans", *options, check=check)

    def _is(self, service: str, condition: str) -> bool:
        containers = self.containers(service)
        if condition == "service_completed_successfully":
            return all((each["State"]["Status"], each["State"]["ExitCode"]) == ("exited", 0) for each in containers)
        # Without systemd nothing else asks the health check.
        asked = [["podman", "healthcheck", "run", each["Id"]] for each in containers]
        return all(
            subprocess.run(ask, env=self._environment, check=False, capture_output=True, timeout=60).returncode == 0
            for ask in asked
        )

    def podman(self, *arguments: str, check: bool = True) -> str:
        """Output of a podman command."""
        run = subprocess.run(
            ["podman", *arguments],
            env=self._environment,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        assert run.returncode == 0 or not check, run.stdout
        return run.stdout

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """The containers of a service, or of all, as podman describes them."""
        labels = [
            f"io.podman.compose.project={PROJECT}",
            *([f"com.docker.compose.service={service}"] if service else []),
        ]
        filters = [part for label in labels for part in ("--filter", f"label={label}")]
        names = self.podman("ps", "--all", "--quiet", *filters).split()
        described: list[dict[str, Any]] = json.loads(self.podman("inspect", *names)) if names else []
        return described

    def run_in(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in the first container of a service."""
        run = ["podman", "exec", self.containers(service)[0]["Id"], *command]
        return subprocess.run(run, env=self._environment, check=False, text=True, capture_output=True, timeout=60)

    def logs(self) -> str:
        """The end of what each container said."""
        parts = []
        for each in self.containers():
            said = self.podman("logs", "--tail", "15", each["Id"], check=False)
            parts.append(f"== {each['Name']}, {each['State']['Status']}\n{said}")
        return "\n".join(parts)

    def until(self, what: str, holds: Callable[[], bool], seconds: float) -> None:
        """Wait for it; a failure shows what the containers said."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{self.logs()}"
            time.sleep(2)


def get(url: str, token: str | None = None) -> tuple[int, str]:
    """Status and body, redirects not followed."""

    class Still(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.build_opener(Still).open(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
