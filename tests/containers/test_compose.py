"""docker-compose.yml run for real: it comes up, works, watches itself, grows, and loses nothing when it goes down."""

import asyncio
import json

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from streams.contracts.actions import Action
from streams.contracts.topics import ACTIONS, EVENTS
from streams.kafka.connection import Connection
from tests.containers.stack import METRICS_TOKEN, WEB_TOKEN, Stack, get
from tests.support.processes import committed, read_messages

# Two cores and a JVM for each health check: patience.
pytestmark = pytest.mark.timeout(900)

KAFKA = Connection("localhost:29092")
CONSOLE = "http://localhost:8080"
PROMETHEUS = "http://localhost:9090/api/v1"
USERS = {
    "kafka": "1000",
    "worker": "10001",
    "learner": "10001",
    "console": "10001",
    "prometheus": "65534",
    "alertmanager": "65534",
}


def actions() -> list[Action]:
    return [Action.model_validate_json(each.value) for each in asyncio.run(read_messages(KAFKA, ACTIONS))]


def test_events_become_actions(stack: Stack) -> None:
    stack.until("actions are written", lambda: len(actions()) >= 20, 240)


def targets() -> list[tuple[str, str]]:
    """Job and health of each."""
    _, body = get(f"{PROMETHEUS}/targets?state=active")
    return sorted((each["labels"]["job"], each["health"]) for each in json.loads(body)["data"]["activeTargets"])


def test_every_target_is_scraped_with_the_metrics_token(stack: Stack) -> None:
    jobs = ("alertmanager", "prometheus", "riskmon-learner", "riskmon-worker")
    stack.until("all targets are up", lambda: targets() == [(job, "up") for job in jobs], 90)
    asked = "import urllib.request; urllib.request.urlopen('http://worker:9464/metrics')"
    refused = stack.run_in("console", "python", "-c", asked)
    assert refused.returncode == 1
    assert "HTTP Error 401" in refused.stderr


@pytest.mark.usefixtures("stack")
def test_the_console_asks_for_its_token() -> None:
    for token in (None, METRICS_TOKEN):
        status, body = get(f"{CONSOLE}/", token)
        assert status in {303, 401}
        assert "B000" not in body
    assert get(f"{CONSOLE}/", WEB_TOKEN)[0] == 200


def test_an_alert_reaches_who_is_on_call(stack: Stack) -> None:
    def told() -> bool:
        return "The chain of alerts works." in stack.podman("logs", stack.containers("receiver")[0]["Id"])

    stack.until("the alert arrives", told, 180)


@pytest.mark.parametrize(("service", "user"), USERS.items())
def test_no_service_is_root_or_may_do_what_it_does_not_need(stack: Stack, service: str, user: str) -> None:
    lines = stack.run_in(service, "cat", "/proc/1/status").stdout.splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert status["Uid"] == [user] * 4
    assert {int(status[name][0], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
    assert status["NoNewPrivs"] == ["1"]


@pytest.mark.parametrize("service", ["worker", "learner", "console"])
def test_riskmon_writes_to_its_temporary_folder_only(stack: Stack, service: str) -> None:
    for file in ("/var/lib/riskmon/x", "/opt/riskmon/x", "/x", "/var/lib/riskmon/forest/x"):
        refused = stack.run_in(service, "python", "-c", f"open({file!r}, 'w')")
        assert refused.returncode == 1
        assert "Read-only file system" in refused.stderr
    assert stack.run_in(service, "python", "-c", "open('/tmp/x', 'w')").returncode == 0


def test_three_workers_share_the_partitions_and_are_watched(stack: Stack) -> None:
    stack.up(workers=3)

    def shared() -> bool:
        members = asyncio.run(assigned())
        return len(members) == 3 and sorted(part for parts in members for part in parts) == [0, 1, 2, 3]

    stack.until("three members own four partitions", shared, 120)
    three = [("riskmon-worker", "up")] * 3
    stack.until("Prometheus sees three", lambda: [each for each in targets() if "worker" in each[0]] == three, 90)
    seen = len(actions())
    stack.until("actions go on", lambda: len(actions()) > seen, 120)


async def assigned() -> list[list[int]]:
    """The partitions of the events topic that each member of the workers' group owns."""
    admin = KAFKA.admin()
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups(["riskmon"])
    finally:
        await admin.close()
    ((_, _, _, _, _, members, *_),) = answer.groups
    owned = [ConsumerProtocolMemberAssignment.decode(assignment) for *_, assignment in members]
    return [[part for topic, parts in each.assignment if topic == EVENTS for part in parts] for each in owned]


def test_down_and_up_again_loses_nothing(stack: Stack) -> None:
    for container in stack.containers("simulator"):
        stack.podman("stop", container["Id"])
    before = asyncio.run(drained())
    kept = [action.action_id for action in actions()]
    stack.down()
    assert stack.containers() == []
    stack.up(workers=2, without="simulator")
    assert asyncio.run(drained()) == before
    assert [action.action_id for action in actions()] == kept
    stack.up(workers=2)
    stack.until("actions go on", lambda: len(actions()) > len(kept), 240)


async def drained() -> int:
    """How many events there are, once the workers have committed all of them."""
    async with KAFKA.consumer(EVENTS) as consumer:
        ends: int = sum((await consumer.end_offsets(consumer.assignment())).values())
    async with asyncio.timeout(120):
        while await committed(KAFKA) < ends:
            await asyncio.sleep(1)
    return ends
