"""`riskmon doctor`: what keeps riskmon from running here, and how to mend each. It changes nothing."""

from __future__ import annotations

import asyncio
import socket
import urllib.request

from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, KafkaError

from models.serving import store
from streams.command.finding import Finding, Verdict
from streams.command.local_kafka.jars import kafka_libs
from streams.command.local_kafka.java import installed_java
from streams.command.topic_check import GroupOffsets, group_findings, topic_facts, topic_findings
from streams.config.settings import Settings
from streams.contracts.topics import EVENTS, topic_specs
from streams.kafka.connection import ConnectionSettingsError
from streams.kafka.group import committed_offsets

_PATIENCE_SECONDS = 10
_SAFE_REPLICAS = 3
_FETCHED = "`riskmon broker` and `riskmon demo` fetch it on first use, once"


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything, in the order in which it is needed."""
    kafka = await _kafka(settings)
    return [*local_kafka(), *kafka, model(settings), metrics_port(settings)]


def local_kafka() -> list[Finding]:
    """Java and Kafka's jars, which only `riskmon broker` and `riskmon demo` use, and fetch when they are not here."""
    java, libs = installed_java(), kafka_libs()
    here = {"Java": java, "Kafka's jars": str(libs) if libs.is_dir() else None}
    return [
        Finding(name, Verdict.OK, place) if place else Finding(name, Verdict.NOTE, "not here yet", _FETCHED)
        for name, place in here.items()
    ]


async def _kafka(settings: Settings) -> list[Finding]:
    try:
        admin = settings.kafka.admin()
    except ConnectionSettingsError as error:
        return [Finding("Kafka", Verdict.WRONG, str(error), "`riskmon config` shows the settings in force")]
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await admin.start()
            brokers = len((await admin.describe_cluster())["brokers"])
            topics = await topic_facts(admin, [spec.name for spec in topic_specs(settings.application, 1)])
            group = await _group(settings, topics[EVENTS].partitions) if EVENTS in topics else []
    except (KafkaConnectionError, TimeoutError, OSError):
        fix = "start one with `riskmon broker`, or set RISKMON_BOOTSTRAP and the security settings to yours"
        return [Finding("Kafka", Verdict.WRONG, f"no answer from {settings.bootstrap}", fix)]
    except KafkaError as error:
        fix = "see that the user in RISKMON_SASL_USERNAME has the rights that docs/access.md names"
        return [Finding("Kafka", Verdict.WRONG, f"{settings.bootstrap} refuses: {error}", fix)]
    finally:
        await admin.close()
    return [_brokers(settings, brokers), *topic_findings(topics, settings), *group]


def _brokers(settings: Settings, brokers: int) -> Finding:
    found = f"{settings.bootstrap}, brokers: {brokers}"
    if brokers >= _SAFE_REPLICAS > settings.replication:
        fix = (
            f"set RISKMON_REPLICATION to {_SAFE_REPLICAS} before the topics are made: a lost broker loses nothing then"
        )
        return Finding("Kafka", Verdict.NOTE, f"{found}, but RISKMON_REPLICATION is {settings.replication}", fix)
    return Finding("Kafka", Verdict.OK, found)


async def _group(settings: Settings, partitions: int) -> list[Finding]:
    """Where the workers have come to, on the partitions that they have committed."""
    try:
        committed = await committed_offsets(settings.kafka, settings.application, EVENTS)
    except GroupAuthorizationFailedError:
        fix = "grant this user Describe on the group, or ask who has it"
        return [Finding(f"group {settings.application}", Verdict.NOTE, "its offsets may not be read", fix)]
    known = [tp for tp in committed if tp.partition < partitions]
    if not known:
        return []
    async with settings.kafka.consumer() as consumer:
        begins, ends = await consumer.beginning_offsets(known), await consumer.end_offsets(known)
    offsets = {tp.partition: GroupOffsets(begins[tp], committed[tp], ends[tp]) for tp in known}
    return group_findings(settings.application, offsets)


def model(settings: Settings) -> Finding:
    """Whether the forest is there, whole, and made for this version's features."""
    folder = settings.forest_dir
    if not store.exists(folder) and settings.model_sha256 is None:
        return Finding("model", Verdict.NOTE, f"none in {folder}", "`riskmon train`; a worker trains one itself")
    try:
        found = store.load(folder, settings.model_sha256)
    except store.ModelError as error:
        return Finding("model", Verdict.WRONG, str(error), "`riskmon train`, or copy a whole model there")
    pinned = "" if settings.model_sha256 is None else " as pinned"
    text = f"forest {found.forest.version} in {folder}, SHA-256 {store.digest(folder)}{pinned}"
    return Finding("model", Verdict.OK, text)


def metrics_port(settings: Settings) -> Finding:
    """Whether /metrics can be served: the port is free, and beyond this machine there is a token."""
    host, port = settings.metrics_host, settings.metrics_port
    subject = f"port {port}"
    if host not in ("127.0.0.1", "::1", "localhost") and settings.metrics_token is None:
        return Finding(subject, Verdict.WRONG, f"{host} is served only with a token", "set RISKMON_METRICS_TOKEN")
    if not _is_taken(host, port):
        return Finding(subject, Verdict.OK, f"free for /metrics on {host}")
    if _is_riskmon(port):
        return Finding(subject, Verdict.NOTE, "riskmon serves /metrics here", "give another one --metrics-port")
    return Finding(subject, Verdict.WRONG, "in use by another program", "set RISKMON_METRICS_PORT to a free port, or 0")


def _is_taken(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _is_riskmon(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return b'"alive"' in answer.read(1000)
    except OSError:
        return False
