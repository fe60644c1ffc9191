"""All of riskmon on a Kafka of its own, which the tests kill, and a real Chromium that looks at the console."""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from producers.faults import FaultConfig, FaultTally
from producers.publisher import publish, simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.account.changelog import is_borrower
from streams.command.local_kafka.broker import LocalBroker
from streams.contracts.events import AccountEvent, LoanClosed
from streams.contracts.topics import EVENTS, changelog_name
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import Connection
from tests.support.factories import closed, opened
from tests.support.machine import command
from tests.support.processes import COMMAND, environment, read_all, running, wait_for_commit

# An id may be any printable ASCII: this one is markup that would run.
HOSTILE = "<img/src=x/onerror=alert(1)>"
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


@dataclass(frozen=True)
class Stage:
    """What runs: the broker to kill, where the console answers, and how many borrowers are in the account table."""

    broker: LocalBroker
    url: str
    borrowers: int


async def send(kafka: Connection, event: AccountEvent) -> None:
    async with kafka.producer() as producer:
        await producer.send_and_wait(EVENTS, event.to_json(), event.borrower_id.encode())


def hostile_loan() -> tuple[AccountEvent, AccountEvent]:
    """A loan of the hostile borrower, opened and closed: its end is an action."""
    end = LoanClosed.model_validate(closed(60).model_dump() | {"borrower_id": HOSTILE, "loan_id": "<b>L</b>"})
    return opened("<b>L</b>", HOSTILE), end


async def _fill(kafka: Connection) -> int:
    await ensure_topics(kafka, "riskmon", 2, 1)
    simulation = SimulationConfig(borrowers=80, days=240, seed=3, partitions=2)
    published = await publish(
        kafka, EVENTS, simulated_records(simulation, FaultConfig(duplicates=0.01, malformed=0.01), FaultTally())
    )
    for event in hostile_loan():
        await send(kafka, event)
    return published.count + 2


async def _borrowers(kafka: Connection) -> int:
    keys = {record.key for record in await read_all(kafka, changelog_name("riskmon"))}
    return sum(is_borrower(key or b"") for key in keys)


@contextmanager
def _console(env: dict[str, str], log: Path) -> Iterator[str]:
    with log.open("wb") as out:
        child = subprocess.Popen([*COMMAND, "console", "--port", "0"], env=os.environ | env, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 30
        while (found := re.search(r"the console is at (\S+);", log.read_text())) is None:
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield found[1]
    finally:
        child.terminate()
        child.wait(15)
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="package")
def stage(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("console")
    with LocalBroker(home / "kafka", port=0) as broker:
        env = environment(broker.connection, model, home)
        count = asyncio.run(_fill(broker.connection))
        with running("worker", env, home / "worker.log") as worker, running("learner", env, home / "learner.log"):
            asyncio.run(wait_for_commit(broker.connection, count, worker))
            with _console(env, home / "console.log") as url:
                yield Stage(broker, url, asyncio.run(_borrowers(broker.connection)))


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, chromedriver = command("chromium", "chromium"), command("chromedriver", "chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    # The tests' own proxy, whose certificate nobody signed.
    options.accept_insecure_certs = True
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        yield driver
    finally:
        driver.quit()
