"""SASL/SCRAM, TLS and ACLs on a real broker: the rules of docs/access.md let each role do its work, and no more."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)
from pydantic import SecretStr

from monitoring.console.board import Board
from monitoring.console.feed import Feed
from producers.faults import FaultConfig, FaultTally
from producers.publisher import publish, simulated_records
from producers.simulator.simulate import SimulationConfig
from streams.command.doctor import examine
from streams.command.finding import Verdict
from streams.command.local_kafka.broker import free_port
from streams.config.settings import Settings
from streams.contracts.actions import Action
from streams.contracts.topics import ACTIONS, EVENTS, LABELS, MODELS
from streams.history.read import read_history
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import BrokerAwayError, Connection, ConnectionSettingsError
from streams.kafka.group import committed_offsets
from tests.support.processes import COMMAND, environment, read_all, running, wait_for_commit
from tests.support.secure_broker import SecureBroker, password_of

RULES = [
    line.strip()
    for line in (Path(__file__).parents[2] / "docs" / "access.md").read_text().splitlines()
    if line.strip().startswith("kafka-acls.sh")
]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    with SecureBroker(tmp_path_factory.mktemp("secure")) as broker:
        asyncio.run(ensure_topics(broker.connection, "riskmon", 2, 1))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(broker.run_acl_command, RULES))
        yield broker


def as_role(secure: SecureBroker, user: str, model: Path, home: Path) -> dict[str, str]:
    secrets = home / f"secrets-{user}"
    secrets.mkdir()
    (secrets / "riskmon_sasl_password").write_text(password_of(user))
    return environment(secure.as_user(user), model, home) | {
        "RISKMON_SECURITY_PROTOCOL": "SASL_SSL",
        "RISKMON_SASL_USERNAME": user,
        "RISKMON_SECRETS_DIR": str(secrets),
        "RISKMON_TLS_CA_FILE": str(secure.ca_file),
        "RISKMON_LOG_LEVEL": "debug",
    }


async def test_each_role_does_its_work_with_just_its_own_rights(
    secure: SecureBroker, model: Path, tmp_path: Path
) -> None:
    simulation = SimulationConfig(borrowers=80, days=120, seed=4, partitions=2)
    records = simulated_records(simulation, FaultConfig(malformed=0.01), FaultTally())
    published = await publish(secure.as_user("riskmon-producer"), EVENTS, records)
    logs = tmp_path / "worker.log", tmp_path / "learner.log"
    worker_env, learner_env = (as_role(secure, f"riskmon-{r}", model, tmp_path) for r in ("worker", "learner"))
    with running("worker", worker_env, logs[0]) as worker, running("learner", learner_env, logs[1]) as learner:
        await wait_for_commit(secure.connection, published.count, worker, learner)
        labels = len(await read_all(secure.connection, LABELS))
        await until_learnt(secure.connection, labels)
    assert labels > 0
    assert await read_all(secure.connection, MODELS)

    reader = secure.as_user("collections").consumer(ACTIONS, group_id="collections-1", auto_offset_reset="earliest")
    async with reader:
        assert Action.model_validate_json((await asyncio.wait_for(reader.getone(), 20)).value)
    for log in logs:
        assert "correct-horse" not in log.read_text()


async def test_the_console_reads_everything_without_a_group(secure: SecureBroker) -> None:
    kafka = secure.as_user("riskmon-console")
    board = Board.empty(Settings(), datetime.now(UTC))
    feed = asyncio.create_task(Feed(kafka, Settings(), board).run())
    async with asyncio.timeout(30):
        while board.link.state != "live":
            await asyncio.sleep(0.1)
    feed.cancel()
    await asyncio.gather(feed, return_exceptions=True)
    assert board.portfolio.count() == 80
    assert board.stream.group.committed
    (borrower_id,) = board.portfolio.ids_like("", 1)
    history = await read_history(kafka, "riskmon", Settings().rules(), borrower_id, 1_000)
    assert history.timeline.days


async def test_a_console_without_its_rights_says_so(secure: SecureBroker) -> None:
    board = Board.empty(Settings(), datetime.now(UTC))
    feed = asyncio.create_task(Feed(secure.as_user("collections"), Settings(), board).run())
    async with asyncio.timeout(30):
        while board.link.state == "connecting":
            await asyncio.sleep(0.1)
    feed.cancel()
    await asyncio.gather(feed, return_exceptions=True)
    assert board.link.state in ("failed", "waiting")
    assert board.link.detail


async def until_learnt(kafka: Connection, labels: int) -> None:
    async with asyncio.timeout(60):
        while sum((await committed_offsets(kafka, "riskmon-learner", LABELS)).values()) < labels:
            await asyncio.sleep(0.2)


async def first_of(kafka: Connection, topic: str, group: str) -> AsyncIterator[object]:
    async with kafka.consumer(topic, group_id=group, auto_offset_reset="earliest") as consumer:
        yield await asyncio.wait_for(consumer.getone(), 20)


@pytest.mark.parametrize(
    ("user", "topic", "group", "refusal"),
    [
        ("riskmon-producer", ACTIONS, "collections", TopicAuthorizationFailedError),
        ("collections", EVENTS, "collections", TopicAuthorizationFailedError),
        ("collections", ACTIONS, "riskmon", GroupAuthorizationFailedError),
        ("riskmon-learner", EVENTS, "riskmon-learner", TopicAuthorizationFailedError),
    ],
)
async def test_nobody_reads_what_is_not_theirs(
    secure: SecureBroker, user: str, topic: str, group: str, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        await anext(first_of(secure.as_user(user), topic, group))


@pytest.mark.parametrize(
    ("user", "topic", "refusal"),
    [
        ("riskmon-producer", LABELS, TopicAuthorizationFailedError),
        ("riskmon-console", ACTIONS, ClusterAuthorizationFailedError),
        # Who may write nowhere is not even given a producer id.
        ("collections", ACTIONS, ClusterAuthorizationFailedError),
    ],
)
async def test_nobody_writes_what_is_not_theirs(
    secure: SecureBroker, user: str, topic: str, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        await write(secure.as_user(user), topic)


async def write(kafka: Connection, topic: str) -> None:
    producer = kafka.producer()
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"forged", b"B1")
    finally:
        await producer.stop()


async def test_the_doctor_sees_what_its_user_may_see(secure: SecureBroker, model: Path) -> None:
    assert await doctor_verdicts(secure, "admin", model) == {Verdict.OK}
    # A worker may not read the topics' configuration, and a consumer of actions not even see the other topics.
    assert await doctor_verdicts(secure, "riskmon-worker", model) == {Verdict.OK, Verdict.NOTE}
    assert await doctor_verdicts(secure, "collections", model) == {Verdict.OK, Verdict.WRONG}


async def doctor_verdicts(secure: SecureBroker, user: str, model: Path) -> set[Verdict]:
    settings = Settings(
        bootstrap=secure.bootstrap,
        security_protocol="SASL_SSL",
        sasl_username=user,
        sasl_password=SecretStr(password_of(user)),
        tls_ca_file=secure.ca_file,
        model_dir=model,
        metrics_port=free_port(),
    )
    return {finding.verdict for finding in await examine(settings)}


async def test_a_wrong_password_and_a_missing_one_are_said(secure: SecureBroker) -> None:
    with pytest.raises(BrokerAwayError, match="no Kafka answers"):
        await ensure_topics(secure.as_user("riskmon-worker", "guessed"), "riskmon", 2, 1)
    with pytest.raises(ConnectionSettingsError, match="needs both sasl_username and sasl_password"):
        Connection("127.0.0.1:1", "SASL_SSL", username="riskmon-worker")


def test_config_shows_no_secret() -> None:
    secrets = {
        "RISKMON_SASL_PASSWORD": "hush-hush",
        "RISKMON_WEB_TOKEN": "hush-hush-hush-hush",
        "RISKMON_METRICS_TOKEN": "hush-hush-hush-hush-hush",
    }
    user = {"RISKMON_SECURITY_PROTOCOL": "SASL_SSL", "RISKMON_SASL_USERNAME": "risk"}
    env = os.environ | secrets | user | {"COLUMNS": "200"}
    shown = subprocess.run([*COMMAND, "config"], env=env, capture_output=True, text=True, check=True).stdout
    assert "sasl_password" in shown
    assert "web_token" in shown
    assert "metrics_token" in shown
    assert "hush" not in shown
