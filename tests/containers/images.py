"""The base images of Dockerfile and docker-compose.yml, built from Debian where no registry has brought them.

They stand in under the same names, with what the files rely on: Python, Kafka's own start-up class, Prometheus and
Alertmanager. An image that is there already is used as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from streams.command.local_kafka.jars import fetch_kafka

ROOT = Path(__file__).parents[2]
_STAND_IN = "localhost/riskmon-stand-in:bookworm"
_PACKAGES = (
    "ca-certificates,python3,python3-venv,python3-dev,gcc,libc6-dev,openjdk-17-jre-headless,"
    "prometheus,prometheus-alertmanager,wget"
)
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

_PYTHON = """\
RUN python3 -m venv /usr/local
COPY certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY pip.conf /etc/pip.conf
"""
# What the start script of Apache's image does, with the same class and folders.
_KAFKA = """\
RUN useradd --uid 1000 appuser && mkdir -p /var/lib/kafka/data /mnt/shared/config /opt/kafka/config /opt/kafka/bin \\
    /etc/kafka/docker && touch /etc/kafka/docker/server.properties /etc/kafka/docker/log4j2.yaml \\
    /etc/kafka/docker/tools-log4j2.yaml && chown -R appuser /var/lib/kafka /opt/kafka/config
COPY libs /opt/kafka/libs
COPY kafka-broker-api-versions.sh /opt/kafka/bin/
COPY run.sh /etc/kafka/docker/run
RUN chmod 755 /opt/kafka/bin/*.sh /etc/kafka/docker/run && chmod -R a+rX /opt/kafka
VOLUME /var/lib/kafka/data
USER appuser
ENTRYPOINT []
CMD ["/etc/kafka/docker/run"]
"""
_KAFKA_RUN = """\
#!/bin/sh
set -e
said=$(java -cp '/opt/kafka/libs/*' kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \\
    --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||
    echo "$said" | grep -q "already formatted" || { echo "$said"; exit 1; }
exec java $KAFKA_HEAP_OPTS -cp '/opt/kafka/libs/*' kafka.Kafka /opt/kafka/config/server.properties
"""
_API_VERSIONS = """\
#!/bin/sh
exec java -Xmx128m -cp '/opt/kafka/libs/*' org.apache.kafka.tools.BrokerApiVersionsCommand "$@"
"""
_WATCHING = """\
RUN rm -rf /etc/{name}* && mkdir -p /etc/{name} /{name} && chown 65534:65534 /{name}
VOLUME /{name}
USER 65534:65534
ENTRYPOINT ["/usr/bin/{binary}"]
"""


def podman_environment(folder: Path) -> dict[str, str]:
    """Podman with runc where that is installed: crun wants rights that a sandbox may not have."""
    if shutil.which("runc") is None:
        return dict(os.environ)
    config = folder / "containers.conf"
    # Podman asks for more open files and processes than a sandbox may allow.
    config.write_text(
        '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    # Docker's format keeps the HEALTHCHECK of a Dockerfile; the other one drops it.
    return os.environ | {"CONTAINERS_CONF": str(config), "BUILDAH_FORMAT": "docker"}


def build_base_images(environment: dict[str, str]) -> None:
    """Build those that are not here."""
    for name, recipe in _recipes().items():
        if subprocess.run(["podman", "image", "exists", name], env=environment, check=False).returncode:
            _stand_in(environment)
            _build(name, recipe, environment)


def _recipes() -> dict[str, str]:
    """Recipe by name of the image, with the versions that the files name."""
    images = {service["image"] for service in _services().values()}
    pythons = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.M)
    kafka, prometheus, alertmanager = (
        next(image for image in images if image.startswith(prefix))
        for prefix in ("apache/kafka:", "prom/prometheus:", "prom/alertmanager:")
    )
    return dict.fromkeys(pythons, _PYTHON) | {
        kafka: _KAFKA,
        prometheus: _WATCHING.format(name="prometheus", binary="prometheus"),
        alertmanager: _WATCHING.format(name="alertmanager", binary="prometheus-alertmanager"),
    }


def _services() -> dict[str, dict[str, str]]:
    services: dict[str, dict[str, str]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services


def _stand_in(environment: dict[str, str]) -> None:
    """One Debian with all packages; the images differ in what they start."""
    if not subprocess.run(["podman", "image", "exists", _STAND_IN], env=environment, check=False).returncode:
        return
    with tempfile.TemporaryDirectory() as folder:
        root = f"{folder}/root.tar"
        make = ["mmdebstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", root]
        subprocess.run(make, check=True)
        subprocess.run(["podman", "import", "--quiet", root, _STAND_IN], env=environment, check=True)


def _build(name: str, recipe: str, environment: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        (context / "Containerfile").write_text(f"FROM {_STAND_IN}\n{recipe}")
        # This machine's certificates, for a network whose proxy signs with its own.
        shutil.copyfile(_CERTIFICATES, context / "certificates.crt")
        (context / "pip.conf").write_text(f"[global]\ncert = {_CERTIFICATES}\n")
        (context / "run.sh").write_text(_KAFKA_RUN)
        (context / "kafka-broker-api-versions.sh").write_text(_API_VERSIONS)
        shutil.copytree(fetch_kafka(), context / "libs")
        build = ["podman", "build", "--quiet", "--network", "host", "--tag", f"localhost/{name}", str(context)]
        subprocess.run(build, env=environment, check=True)
