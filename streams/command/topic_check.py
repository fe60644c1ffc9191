"""What the topics are against what riskmon needs, and where a worker would lose something or stand still."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, UnknownTopicOrPartitionError, for_code

from streams.command.finding import Finding, Verdict
from streams.config.settings import Settings
from streams.contracts.topics import (
    EVENTS,
    LABELS,
    MODELS,
    TopicSpec,
    changelog_name,
    min_insync_replicas,
    topic_specs,
)

_MISSING = "not told"
# What is more than wanted is well, but for what the settings promise to delete.
_AT_LEAST = ("max.message.bytes", "min.insync.replicas", "retention.ms", "min.compaction.lag.ms", "delete.retention.ms")
_AT_MOST = ("max.compaction.lag.ms",)
# Without these nothing is lost and nothing stands still.
_ADVICE = ("message.timestamp.type", "max.compaction.lag.ms", "delete.retention.ms")


class TopicFacts(NamedTuple):
    """A topic as Kafka describes it; a partition is short if replicas are out of sync or it has no leader.

    `replicas` is the smallest number that a partition has. The configuration is empty where the user may not read it.
    """

    partitions: int
    short_partitions: int
    replicas: int
    config: Mapping[str, str]


class GroupOffsets(NamedTuple):
    """Where the workers' group stands on a partition of the events topic, between the topic's first and next offset."""

    begin: int
    committed: int
    end: int


async def topic_facts(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, TopicFacts]:
    """What Kafka says of these topics; a missing one is left out. Raises aiokafka's errors."""
    described = {}
    for topic in await admin.describe_topics(names):
        if topic["error_code"] == NoError.errno:
            described[topic["topic"]] = topic["partitions"]
        elif topic["error_code"] != UnknownTopicOrPartitionError.errno:
            raise for_code(topic["error_code"])(topic["topic"])
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
            sum(part["leader"] < 0 or len(part["isr"]) < len(part["replicas"]) for part in partitions),
            min(len(part["replicas"]) for part in partitions),
            configs.get(name, {}),
        )
        for name, partitions in described.items()
    }


def topic_findings(topics: Mapping[str, TopicFacts], settings: Settings) -> list[Finding]:
    """Each topic against what riskmon needs; the events topic decides how many partitions the changelog has."""
    partitions = topics[EVENTS].partitions if EVENTS in topics else settings.partitions
    specs = topic_specs(settings.application, partitions, settings.replication, settings.retention)
    recreate = "stop riskmon and recreate the topic with 1 partition"
    repartition = f"stop all workers, then `riskmon repartition --partitions {partitions}`; until then no worker starts"
    fixes = {changelog_name(settings.application): repartition, LABELS: recreate, MODELS: recreate}
    return [_topic(spec, topics.get(spec.name), settings.replication, fixes.get(spec.name)) for spec in specs]


def group_findings(group: str, offsets: Mapping[int, GroupOffsets]) -> list[Finding]:
    """Whether all that the workers have not read yet is still there, and all that they have read."""
    expired = {number: at for number, at in offsets.items() if at.committed < at.begin}
    ahead = {number: at for number, at in offsets.items() if at.committed > at.end}
    findings = []
    if expired:
        lost = ", ".join(f"partition {number}: {at.begin - at.committed}" for number, at in sorted(expired.items()))
        fix = "publish these events again; then let riskmon.events keep messages longer than workers rest"
        findings.append(Finding(f"group {group}", Verdict.WRONG, f"events expired before they were read: {lost}", fix))
    if ahead:
        lost = ", ".join(f"partition {no}: read to {at.committed} of {at.end}" for no, at in sorted(ahead.items()))
        fix = f"restore the topic, or set RISKMON_APPLICATION to a new name, which reads {EVENTS} from its beginning"
        wrong = f"{EVENTS} ends before what was read (recreated, restored or cut): {lost}"
        findings.append(Finding(f"group {group}", Verdict.WRONG, wrong, fix))
    waiting = sum(max(at.end - max(at.committed, at.begin), 0) for at in offsets.values())
    return findings or [Finding(f"group {group}", Verdict.OK, f"events not read yet: {waiting}, and all still there")]


def _topic(spec: TopicSpec, facts: TopicFacts | None, replication: int, recount: str | None) -> Finding:
    """`recount` says what to do about a wrong number of partitions; None where any number does."""
    if facts is None:
        return Finding(spec.name, Verdict.NOTE, "does not exist yet", "`riskmon topics`; a worker creates it, too")
    if recount and facts.partitions != spec.partitions:
        return Finding(spec.name, Verdict.WRONG, f"partitions: {facts.partitions}, not {spec.partitions}", recount)
    if facts.short_partitions:
        found = f"{facts.short_partitions} of {facts.partitions} partitions lack replicas"
        return Finding(spec.name, Verdict.WRONG, found, "bring the brokers back that hold the replicas")
    if facts.replicas < replication:
        found = f"replicas: {facts.replicas}, but RISKMON_REPLICATION is {replication}"
        return Finding(spec.name, Verdict.WRONG, found, "add replicas with kafka-reassign-partitions.sh")
    wanted = spec.config | {"min.insync.replicas": str(min_insync_replicas(facts.replicas))}
    if not facts.config:
        as_wanted = ", ".join(f"{name}={value}" for name, value in wanted.items())
        found, fix = "its configuration may not be read", f"ask an administrator whether it has {as_wanted}"
        return Finding(spec.name, Verdict.NOTE, found, fix)
    return _configured(spec.name, facts, wanted)


def _configured(topic: str, facts: TopicFacts, wanted: Mapping[str, str]) -> Finding:
    differs = {name: value for name, value in wanted.items() if not _suffices(name, facts.config.get(name), value)}
    if differs:
        found = "; ".join(f"{name} is {facts.config.get(name, _MISSING)}, not {differs[name]}" for name in differs)
        worst = Verdict.NOTE if all(name in _ADVICE for name in differs) else Verdict.WRONG
        changes = ",".join(f"{name}={value}" for name, value in differs.items())
        fix = f"kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {changes}"
        return Finding(topic, worst, found, fix)
    for found, fix in _remarks(facts, wanted):
        return Finding(topic, Verdict.NOTE, found, fix)
    kept = f", kept for {int(wanted['retention.ms']) // 86_400_000} days" if "retention.ms" in wanted else ""
    return Finding(topic, Verdict.OK, f"partitions: {facts.partitions}, replicas: {facts.replicas}{kept}")


def _remarks(facts: TopicFacts, wanted: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What works, and may still not be what was meant."""
    if 1 < facts.replicas <= int(facts.config.get("min.insync.replicas", "1")):
        yield (
            f"min.insync.replicas is as high as the number of replicas, {facts.replicas}",
            "nothing can be written while one broker is away: set it to one less",
        )
    if "retention.ms" in wanted and not _keeps_no_longer(facts.config["retention.ms"], wanted["retention.ms"]):
        yield (
            f"retention.ms is {facts.config['retention.ms']}, longer than the settings' {wanted['retention.ms']}",
            "set the setting to what is meant: `riskmon forget` tells people how long their data stays",
        )


def _suffices(name: str, found: str | None, wanted: str) -> bool:
    if found is None:
        # An older Kafka that does not know it yet.
        return True
    if name in _AT_LEAST:
        # Without a limit Kafka says -1.
        return int(found) >= int(wanted) or int(found) == -1
    if name in _AT_MOST:
        return int(found) <= int(wanted)
    return found == wanted


def _keeps_no_longer(found: str, wanted: str) -> bool:
    return 0 <= int(found) <= int(wanted)
