"""`riskmon doctor`: what keeps riskmon from running here, and how to mend each. It changes nothing."""

from __future__ import annotations

import asyncio
import shutil
import socket
import urllib.request
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, NoError, UnknownTopicOrPartitionError, for_code

from models.serving import store
from streams.command.local_kafka.broker import BrokerError, find_java, kafka_libs
from streams.config.settings import Settings
from streams.contracts.topics import EVENTS, LABELS, MODELS, TopicSpec, changelog_name, topic_specs
from streams.kafka.connection import ConnectionSettingsError

_PATIENCE_SECONDS = 10


class Verdict(StrEnum):
    """`NOTE` is what only some uses need, such as Java, which a Kafka elsewhere makes unnecessary."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


class Finding(NamedTuple):
    """One thing looked at: what was found, and what to do unless it is well."""

    subject: str
    verdict: Verdict
    found: str
    fix: str = ""


class TopicFacts(NamedTuple):
    """A topic as Kafka describes it; a partition is short if replicas are out of sync or it has no leader.

    The configuration is empty where the user may not read it.
    """

    partitions: int
    short_partitions: int
    config: Mapping[str, str]


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything, in the order in which it is needed."""
    kafka = await _kafka(settings)
    answers = kafka[0].verdict is Verdict.OK
    return [*local_kafka(needed=not answers), *kafka, model(settings), metrics_port(settings)]


def local_kafka(*, needed: bool) -> list[Finding]:
    """Java, Maven and Kafka's jars, which only `riskmon broker` and `riskmon demo` use."""
    worst = Verdict.WRONG if needed else Verdict.NOTE
    try:
        java = Finding("Java", Verdict.OK, find_java())
    except BrokerError as error:
        found, _, fix = str(error).partition("; ")
        java = Finding("Java", worst, found, fix)
    libs, maven = kafka_libs(), shutil.which("mvn")
    if libs.is_dir():
        jars = Finding("Kafka's jars", Verdict.OK, str(libs))
    elif maven:
        jars = Finding("Kafka's jars", Verdict.OK, f"not fetched yet; {maven} does it on first use")
    else:
        jars = Finding("Kafka's jars", worst, "not fetched, and Maven (mvn) is missing", "apt install maven")
    return [java, jars]


async def _kafka(settings: Settings) -> list[Finding]:
    try:
        admin = settings.kafka.admin()
    except ConnectionSettingsError as error:
        return [Finding("Kafka", Verdict.WRONG, str(error), "`riskmon config` shows the settings in force")]
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await admin.start()
            brokers = len((await admin.describe_cluster())["brokers"])
            topics = await _topic_facts(admin, [spec.name for spec in topic_specs(settings.application, 1)])
    except (KafkaConnectionError, TimeoutError, OSError):
        fix = "start one with `riskmon broker`, or set RISKMON_BOOTSTRAP and the security settings to yours"
        return [Finding("Kafka", Verdict.WRONG, f"no answer from {settings.bootstrap}", fix)]
    except KafkaError as error:
        fix = "see that the user in RISKMON_SASL_USERNAME has the rights that docs/access.md names"
        return [Finding("Kafka", Verdict.WRONG, f"{settings.bootstrap} refuses: {error}", fix)]
    finally:
        await admin.close()
    kafka = Finding("Kafka", Verdict.OK, f"{settings.bootstrap}, brokers: {brokers}")
    return [kafka, *topic_findings(topics, settings)]


async def _topic_facts(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, TopicFacts]:
    described = {}
    for each in await admin.describe_topics(names):
        if each["error_code"] == NoError.errno:
            described[each["topic"]] = each["partitions"]
        elif each["error_code"] != UnknownTopicOrPartitionError.errno:
            raise for_code(each["error_code"])(each["topic"])
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in described]
    answers = await admin.describe_configs(resources) if resources else []
    configs = {
        name: {entry[0]: entry[1] for entry in entries}
        for answer in answers
        for _, _, _, name, entries in answer.resources
    }
    return {
        name: TopicFacts(
            len(partitions),
            sum(each["leader"] < 0 or len(each["isr"]) < len(each["replicas"]) for each in partitions),
            configs.get(name, {}),
        )
        for name, partitions in described.items()
    }


def topic_findings(topics: Mapping[str, TopicFacts], settings: Settings) -> list[Finding]:
    """Each topic against what riskmon needs; the events topic decides how many partitions the changelog has."""
    partitions = topics[EVENTS].partitions if EVENTS in topics else settings.partitions
    specs = topic_specs(settings.application, partitions)
    changelog = changelog_name(settings.application)
    fixes = {
        changelog: "set RISKMON_APPLICATION to a new name, which reads the events anew; keep the old changelog",
        LABELS: "stop riskmon and recreate the topic with 1 partition",
        MODELS: "stop riskmon and recreate the topic with 1 partition",
    }
    return [_topic(spec, topics.get(spec.name), fixes.get(spec.name)) for spec in specs]


def _topic(spec: TopicSpec, facts: TopicFacts | None, recount: str | None) -> Finding:
    """`recount` says what to do about a wrong number of partitions; None where any number does."""
    if facts is None:
        return Finding(spec.name, Verdict.NOTE, "does not exist yet", "`riskmon topics`; a worker creates it, too")
    if recount and facts.partitions != spec.partitions:
        return Finding(spec.name, Verdict.WRONG, f"partitions: {facts.partitions}, not {spec.partitions}", recount)
    if facts.short_partitions:
        found = f"{facts.short_partitions} of {facts.partitions} partitions lack replicas"
        return Finding(spec.name, Verdict.WRONG, found, "bring the brokers back that hold the replicas")
    wanted = {"cleanup.policy": "delete"} | spec.config
    as_wanted = ", ".join(f"{name}={value}" for name, value in wanted.items())
    if not facts.config:
        found, fix = "its configuration may not be read", f"ask an administrator whether it has {as_wanted}"
        return Finding(spec.name, Verdict.NOTE, found, fix)
    for name, value in wanted.items():
        if not _suffices(facts.config[name], value):
            fix = f"kafka-configs.sh --alter --topic {spec.name} --add-config {name}={value}"
            return Finding(spec.name, Verdict.WRONG, f"{name} is {facts.config[name]}, not {value}", fix)
    return Finding(spec.name, Verdict.OK, f"partitions: {facts.partitions}, {as_wanted}")


def _suffices(found: str, wanted: str) -> bool:
    return int(found) >= int(wanted) if wanted.isdigit() else found == wanted


def model(settings: Settings) -> Finding:
    """Whether the forest is there, whole, and made for this version's features."""
    folder = settings.forest_dir
    if not store.exists(folder):
        return Finding("model", Verdict.NOTE, f"none in {folder}", "`riskmon train`; a worker trains one itself")
    try:
        found = store.load(folder)
    except store.ModelError as error:
        return Finding("model", Verdict.WRONG, str(error), "`riskmon train`, or copy a whole model there")
    return Finding("model", Verdict.OK, f"forest {found.forest.version} in {folder}, digests agree")


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
