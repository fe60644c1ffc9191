import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.command.local_kafka.broker import LocalBroker

pytest.register_assert_rewrite("tests.support.oracle", "tests.support.processes")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the fault and fuzz tests at full length")
    parser.addoption("--containers", action="store_true", help="run docker-compose.yml with podman, and nothing else")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Containers are run by `make compose-test` only: building them takes minutes and gigabytes."""
    if collection_path.name == "containers" and not config.getoption("--containers"):
        return True
    return None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is installed, as in CI, a skipped test is a failure: it would hide a missing install step."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("RISKMON_FORBID_SKIPS") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("tests were skipped, which RISKMON_FORBID_SKIPS forbids", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether this run has the time for full lengths."""
    asked: bool = request.config.getoption("--long")
    return asked


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """One genuine Kafka for the whole run."""
    data: Path = tmp_path_factory.mktemp("kafka")
    with LocalBroker(data, port=0) as running:
        yield running


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """A Kafka for one test alone: empty, and it may be killed."""
    with LocalBroker(tmp_path / "kafka", port=0) as running:
        yield running


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small forest, trained once for the whole run."""
    folder: Path = tmp_path_factory.mktemp("forest")
    train = [
        sys.executable,
        "-m",
        "streams.command",
        "train",
        "--out",
        str(folder),
        "--borrowers",
        "400",
        "--days",
        "360",
    ]
    subprocess.run(train, check=True, capture_output=True)
    return folder
