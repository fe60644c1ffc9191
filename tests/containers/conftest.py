"""The services of docker-compose.yml, really built and started; only `make compose-test` runs these tests."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.images import build_base_images, podman_environment
from tests.containers.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything but Grafana, built, started and taken down again with its volumes."""
    folder: Path = tmp_path_factory.mktemp("compose")
    environment = podman_environment(folder)
    build_base_images(environment)
    running = Stack(folder, environment)
    try:
        running.compose("--podman-build-args=--network=host", "build", "worker")
        running.up()
        yield running
    except subprocess.CalledProcessError as error:
        pytest.exit(f"{error}\n{running.logs()}", returncode=1)
    finally:
        running.down("--volumes", check=False)
