"""deploy/kubernetes held against Kubernetes' schemas and against the code: there is no cluster to run it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from streams.command.app import app
from streams.config.settings import Settings
from tests.support.machine import command

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS: list[dict[str, Any]] = [
    each for name in KUSTOMIZATION["resources"] for each in yaml.safe_load_all((FOLDER / name).read_text())
]
PODS = {each["metadata"]["name"]: each["spec"]["template"] for each in OBJECTS if "template" in each.get("spec", {})}
LITERALS = dict(line.split("=", 1) for line in KUSTOMIZATION["configMapGenerator"][0]["literals"])
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVED = ("riskmon-worker", "riskmon-learner")
# The oldest that Kubernetes' own project still mends, give or take, and the newest that the schemas know.
VERSIONS = ("1.32", kubernetes_validate.latest_version())


def named(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in OBJECTS if each["kind"] == kind}


def container(pod: str) -> dict[str, Any]:
    (only,) = PODS[pod]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def environment(pod: str) -> dict[str, str]:
    return LITERALS | {each["name"]: each["value"] for each in container(pod).get("env", [])}


def secrets(pod: str) -> set[str]:
    """The secrets whose files a pod sees."""
    volumes = PODS[pod]["spec"]["volumes"]
    projected = [source for volume in volumes for source in volume.get("projected", {}).get("sources", [])]
    single = [volume["secret"]["secretName"] for volume in volumes if "secret" in volume]
    return {source["secret"]["name"] for source in projected} | set(single)


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_object(version: str) -> None:
    own = [each for each in OBJECTS if not each["apiVersion"].startswith("monitoring.coreos.com/")]
    assert len(own) == len(OBJECTS) - 1
    for each in own:
        kubernetes_validate.validate(each, version, strict=True)


def test_every_file_is_named_and_kustomize_builds_them() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == {*KUSTOMIZATION["resources"], "kustomization.yaml"}
    kubectl = command("kubectl", "kubernetes-client")
    run = subprocess.run([kubectl, "kustomize", str(FOLDER)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    built = list(yaml.safe_load_all(run.stdout))
    assert len(built) == len(OBJECTS) + 1
    assert {each["metadata"].get("namespace", "riskmon") for each in built} == {"riskmon"}
    images = set(re.findall(r"image: (\S+)", run.stdout))
    assert images == {COMPOSE["services"]["worker"]["image"]}
    (settings,) = (each["metadata"]["name"] for each in built if each["kind"] == "ConfigMap")
    assert run.stdout.count(f"name: {settings}\n") == len(PODS) + 1


@pytest.mark.parametrize("pod", PODS)
def test_each_command_line_is_one_that_riskmon_takes(pod: str) -> None:
    name, *arguments = container(pod)["args"]
    known = typer.main.get_command(app)
    context = known.make_context("riskmon", [], resilient_parsing=True)
    found = known.get_command(context, name)  # type: ignore[attr-defined]
    assert found, f"there is no `riskmon {name}`"
    found.make_context(name, arguments)


@pytest.mark.parametrize("pod", PODS)
def test_the_settings_are_valid(pod: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert {name for name in environment(pod) if name != "RISKMON_SECRETS_DIR"} <= {
        f"RISKMON_{name.upper()}" for name in Settings.model_fields
    }
    image = dict(re.findall(r"(RISKMON_\w+)=(\S+)", DOCKERFILE))
    for name, value in (image | environment(pod) | {"RISKMON_SECRETS_DIR": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    mounts = {each["name"]: each["mountPath"] for each in container(pod)["volumeMounts"]}
    assert LITERALS["RISKMON_SECRETS_DIR"] in mounts.values()
    if pod == "riskmon-worker":
        assert settings.store == "rocksdb"
        assert (mounts["state"], mounts["forest"]) == (str(settings.state_dir), str(settings.forest_dir))
        assert named("StatefulSet")[pod]["spec"]["replicas"] <= settings.partitions
    ports = {each["name"]: each["containerPort"] for each in container(pod).get("ports", [])}
    assert ports.get("metrics", settings.metrics_port) == settings.metrics_port
    assert ports.get("http", settings.console_port) == settings.console_port
    assert settings.console_host == "0.0.0.0"


@pytest.mark.parametrize("pod", PODS)
def test_no_pod_is_root_or_may_do_what_it_does_not_need(pod: str) -> None:
    spec, own = PODS[pod]["spec"], container(pod)
    user = int(re.findall(r"^USER (\d+):", DOCKERFILE, re.M)[0])
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsNonRoot"]) == (user, True)
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert own["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert own["resources"]["limits"].keys() == {"memory"}
    assert {"name": "tmp", "mountPath": "/tmp"} in own["volumeMounts"]


def test_each_secret_goes_to_those_alone_who_need_it() -> None:
    kafka, metrics = {"riskmon-kafka"}, {"riskmon-kafka", "riskmon-metrics"}
    assert {pod: secrets(pod) for pod in PODS} == {
        "riskmon-topics": kafka,
        "riskmon-worker": metrics,
        "riskmon-learner": metrics,
        "riskmon-console": {"riskmon-kafka", "riskmon-web"},
    }
    guide = (ROOT / "docs" / "for-sre.md").read_text()
    for name, key in (("riskmon-metrics", "riskmon_metrics_token"), ("riskmon-web", "riskmon_web_token")):
        assert re.search(rf"create secret generic {name} --from-literal={key}=", guide)
        assert key.removeprefix("riskmon_") in Settings.model_fields
    assert "create configmap riskmon-forest --from-file=" in guide


@pytest.mark.parametrize("pod", [*SERVED, "riskmon-console"])
def test_probes_ask_what_is_served_without_a_token(pod: str) -> None:
    own = container(pod)
    probes = {name: own[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    paths = {name: probe["path"] for name, probe in probes.items()}
    if pod in SERVED:
        assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    else:
        assert set(paths.values()) == {"/login"}
    assert {probe["port"] for probe in probes.values()} == {each["name"] for each in own["ports"]}


def selected(labels: dict[str, str]) -> Iterator[str]:
    return (pod for pod, template in PODS.items() if labels.items() <= template["metadata"]["labels"].items())


def test_every_selector_finds_its_own_pods() -> None:
    for each in OBJECTS:
        spec, name = each.get("spec", {}), each["metadata"]["name"]
        selector = spec.get("selector", {})
        if each["kind"] in {"StatefulSet", "Deployment", "PodDisruptionBudget"}:
            assert list(selected(selector["matchLabels"])) == [name]
        if each["kind"] == "Service":
            assert list(selected(selector)) == [name]
            assert {port["targetPort"] for port in spec["ports"]} <= {port["name"] for port in container(name)["ports"]}
    assert named("PodDisruptionBudget").keys() == set(SERVED)
    worker = named("StatefulSet")["riskmon-worker"]["spec"]
    assert worker["serviceName"] in named("Service")


def test_prometheus_finds_worker_and_learner_under_the_jobs_that_rules_name() -> None:
    (monitor,) = named("PodMonitor").values()
    (only,) = monitor["spec"]["selector"]["matchExpressions"]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    prometheus = yaml.safe_load((ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text())
    jobs = {each["job_name"] for each in prometheus["scrape_configs"]}
    assert only["key"] == monitor["spec"]["jobLabel"]
    assert set(only["values"]) == set(SERVED) == {job for job in jobs if job.startswith("riskmon-")}
    for pod in SERVED:
        assert PODS[pod]["metadata"]["labels"][only["key"]] == pod
        assert endpoint["port"] in {each["name"] for each in container(pod)["ports"]}
        assert endpoint["authorization"]["credentials"]["name"] in secrets(pod)
