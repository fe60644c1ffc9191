"""docker-compose.yml, the Dockerfile and what they mount, held against the code; tests/containers runs them."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from streams.command.app import app
from streams.command.local_kafka.jars import KAFKA_VERSION, fetch_kafka
from streams.command.local_kafka.java import find_java
from streams.config.settings import Settings

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROMETHEUS = yaml.safe_load((ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text())
OWN = sorted(name for name, service in SERVICES.items() if service["image"].startswith("riskmon:"))
SECRETS = ("RISKMON_WEB_TOKEN", "RISKMON_METRICS_TOKEN", "GRAFANA_ADMIN_PASSWORD")
SETTINGS = {f"RISKMON_{name.upper()}" for name in Settings.model_fields}


def command_line(service: dict[str, Any]) -> list[str]:
    """The arguments of `riskmon` that a service runs with."""
    if "entrypoint" not in service:
        return list(service["command"])
    found = re.search(r"\briskmon (.+)$", service["command"][0])
    assert found
    return shlex.split(found[1])


@pytest.mark.parametrize("name", OWN)
def test_each_command_line_is_one_that_riskmon_takes(name: str) -> None:
    command, *arguments = command_line(SERVICES[name])
    known = typer.main.get_command(app)
    context = known.make_context("riskmon", [], resilient_parsing=True)
    found = known.get_command(context, command)  # type: ignore[attr-defined]
    assert found, f"there is no `riskmon {command}`"
    found.make_context(command, arguments)


def test_every_environment_name_is_a_setting() -> None:
    for name in OWN:
        ours = {each for each in SERVICES[name]["environment"] if each.startswith("RISKMON_")}
        assert ours <= SETTINGS, name
    assert set(re.findall(r"\bRISKMON_\w+", DOCKERFILE)) <= SETTINGS


def test_the_settings_of_the_services_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in ("worker", "console"):
        for name, value in SERVICES[service]["environment"].items():
            monkeypatch.setenv(name, f"sixteen characters of {name}" if "${" in str(value) else str(value))
    for name, value in re.findall(r"(RISKMON_\w+)=(\S+)", DOCKERFILE):
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.bootstrap == "kafka:9092"
    assert str(settings.metrics_host) == "0.0.0.0"
    (mounted,) = SERVICES["worker"]["volumes"]
    assert mounted == f"model:{settings.forest_dir}:ro"
    assert SERVICES["model"]["volumes"] == [f"model:{settings.forest_dir}"]
    assert f"{settings.forest_dir}/model.json" in SERVICES["model"]["command"][0]


def test_each_secret_opens_one_thing_and_goes_to_those_alone_who_need_it() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in SECRETS:
        assert re.findall(rf"\$\{{{name}(?!:\?)", text) == [], f"{name} is not required"
    reads = {
        (service, entry): re.findall(r"\$\{(\w+)", str(value))
        for service, found in SERVICES.items()
        for entry, value in found.get("environment", {}).items()
        if "${" in str(value)
    }
    assert reads == {
        ("worker", "RISKMON_METRICS_TOKEN"): ["RISKMON_METRICS_TOKEN"],
        ("learner", "RISKMON_METRICS_TOKEN"): ["RISKMON_METRICS_TOKEN"],
        ("console", "RISKMON_WEB_TOKEN"): ["RISKMON_WEB_TOKEN"],
        ("grafana", "GF_SECURITY_ADMIN_PASSWORD"): ["GRAFANA_ADMIN_PASSWORD"],
    }
    assert COMPOSE["secrets"] == {"metrics_token": {"environment": "RISKMON_METRICS_TOKEN"}}
    assert {name: found["secrets"] for name, found in SERVICES.items() if "secrets" in found} == {
        "prometheus": ["metrics_token"]
    }


@pytest.mark.parametrize("path", ["docker-compose.yml", "README.md", "docs/for-sre.md"])
def test_whoever_is_told_to_start_compose_is_told_all_its_secrets(path: str) -> None:
    text = (ROOT / path).read_text()
    assert "docker compose up" in text
    assert all(f"{name}=$(openssl rand -hex 16)" in text for name in SECRETS)
    assert "?token=" not in text


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_pinned_bounded_and_not_root(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])
    assert service["user"].split(":")[0] not in {"0", "root"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service["restart"] in {"unless-stopped", "on-failure"}
    runs_on = service["restart"] == "unless-stopped"
    assert not runs_on or "healthcheck" in service or name in OWN
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_mounts_and_waits_for_exists(name: str) -> None:
    service = SERVICES[name]
    for volume in service.get("volumes", []):
        source = re.sub(r"\$\{\w+:-(.+?)}", r"\1", volume).split(":")[0]
        assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"], volume
    assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
    for other, wanted in service.get("depends_on", {}).items():
        once = wanted["condition"] == "service_completed_successfully"
        assert once == (SERVICES[other]["restart"] == "on-failure")
        assert once or wanted["condition"] == "service_healthy"


def test_workers_can_be_scaled() -> None:
    assert "ports" not in SERVICES["worker"]
    assert all("container_name" not in service for service in SERVICES.values())


def test_prometheus_scrapes_services_that_exist_on_the_port_they_serve() -> None:
    port = Settings.model_fields["metrics_port"].default
    jobs = {each["job_name"]: each for each in PROMETHEUS["scrape_configs"]}
    for role in ("worker", "learner"):
        (found,) = jobs[f"riskmon-{role}"]["dns_sd_configs"]
        assert (found["names"], found["port"]) == ([role], port)
        assert SERVICES[role]["expose"] == [str(port)]
        assert jobs[f"riskmon-{role}"]["authorization"] == {"credentials_file": "/run/secrets/metrics_token"}
    (manager,) = PROMETHEUS["alerting"]["alertmanagers"]
    assert manager["static_configs"][0]["targets"] == ["alertmanager:9093"]
    assert f"EXPOSE {port}\n" in DOCKERFILE
    assert f"127.0.0.1:{port}/readyz" in DOCKERFILE


def test_grafana_reads_what_is_generated_from_the_prometheus_that_runs() -> None:
    folder = ROOT / "monitoring" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load((folder / "dashboards" / "riskmon.yml").read_text())["providers"]
    assert f"./monitoring/grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]


def test_the_dockerfile_copies_what_exists_and_ends_as_another_user() -> None:
    for source in re.findall(r"^COPY (?!--)(\S+)", DOCKERFILE, re.M):
        assert (ROOT / source).exists()
        assert f"!{source}" in (ROOT / ".dockerignore").read_text()
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    # What is built has a compiler, what is shipped has none; both the same Python.
    built, shipped = bases
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", shipped)
    assert built == shipped.replace("-slim", "")
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.M) == [SERVICES["worker"]["user"]]
    assert "--require-hashes" in DOCKERFILE
    assert re.search(r"^HEALTHCHECK ", DOCKERFILE, re.M)


@pytest.mark.slow
def test_kafka_takes_its_settings(tmp_path: Path) -> None:
    """The image's own start script, which is a class of the same Kafka, reads the environment and formats with it."""
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    folders = {name: tmp_path / name for name in ("default", "mounted", "final")}
    for folder in folders.values():
        folder.mkdir()
    for name in ("server.properties", "log4j2.yaml", "tools-log4j2.yaml"):
        (folders["default"] / name).touch()
    environment = {name: str(value) for name, value in SERVICES["kafka"]["environment"].items()}
    options = [part for name, folder in folders.items() for part in (f"--{name}-configs-dir", str(folder))]
    run = subprocess.run(
        [find_java(), "-cp", f"{fetch_kafka()}/*", "kafka.docker.KafkaDockerWrapper", "setup", *options],
        env=os.environ | environment | {"KAFKA_LOG_DIRS": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "advertised.listeners=INTERNAL://kafka:9092" in (folders["final"] / "server.properties").read_text()
    assert (tmp_path / "data" / "meta.properties").exists()
